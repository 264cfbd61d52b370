/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pinlog: an append-only log in a pinned file, written by stores and daxpin_persist() alone.
 *
 *   pinlog create FILE BYTES   makes the file, fills it and pins it
 *   pinlog append FILE TEXT    appends one record; it is durable when the command returns
 *   pinlog fill FILE COUNT     appends COUNT numbered records, printing each when it is durable
 *   pinlog list FILE           prints the records
 *   pinlog verify FILE         checks them all, prints how many there are
 *   pinlog bench FILE          times a durable 64-byte store against pwrite + fsync
 *
 * The log's only commit point is one aligned 8-byte store to `used`. A record is made durable
 * before `used` covers it, so a crash of the writer, the filesystem's daemon or the machine
 * leaves a log that ends after some record, never inside one.
 */
#include <daxpin/daxpin.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAGIC UINT64_C(0x31474f4c4e4950) /* "PINLOG1" */

struct log_header {
    uint64_t magic;
    uint64_t used; /* bytes of records after the header; the commit point */
};

struct record {
    uint32_t length; /* bytes of text after this structure */
    uint32_t sum;    /* of the text, so that verify has something to check */
};

struct log {
    struct daxpin_map *map;
    struct log_header *header;
    char *records;
    uint64_t capacity; /* bytes */
};

static uint32_t sum_of(const char *text, size_t length) {
    uint32_t sum = 2166136261u; /* FNV-1a */

    for (size_t i = 0; i < length; i++)
        sum = (sum ^ (unsigned char)text[i]) * 16777619u;
    return sum;
}

static uint64_t record_bytes(uint32_t length) {
    return (sizeof(struct record) + length + 7) / 8 * 8;
}

static int fail(const char *what, const char *why) {
    fprintf(stderr, "pinlog: %s: %s\n", what, why);
    return -1;
}

static int log_open(struct log *log, const char *path) {
    int fd = open(path, O_RDWR | O_DIRECT);

    if (fd < 0)
        return fail(path, strerror(errno));
    if (daxpin_map_new(&log->map, fd, 0, 0, 0) != 0) {
        close(fd);
        return fail(path, daxpin_errormsg());
    }
    close(fd); /* the mapping holds the lease */
    log->header = daxpin_map_get_address(log->map);
    log->records = (char *)(log->header + 1);
    log->capacity = daxpin_map_get_size(log->map) - sizeof(struct log_header);
    if (log->header->magic != MAGIC || log->header->used > log->capacity) {
        daxpin_map_delete(&log->map);
        return fail(path, "not a log: make one with 'pinlog create'");
    }
    return 0;
}

static int log_append(struct log *log, const char *text, uint32_t length) {
    uint64_t used = log->header->used;
    char *at = log->records + used;
    struct record record = {length, sum_of(text, length)};

    if (record_bytes(length) > log->capacity - used)
        return fail("the log", "is full");
    memcpy(at, &record, sizeof(record));
    memcpy(at + sizeof(record), text, length);
    if (daxpin_persist(log->map, at, sizeof(record) + length) != 0)
        return fail("the record", daxpin_errormsg());
    __atomic_store_n(&log->header->used, used + record_bytes(length), __ATOMIC_RELEASE);
    if (daxpin_persist(log->map, &log->header->used, sizeof(uint64_t)) != 0)
        return fail("the header", daxpin_errormsg());
    return 0;
}

/* Calls visit for each record; returns their number, or -1 for a damaged log. */
static int64_t log_each(const struct log *log, void (*visit)(const char *text, uint32_t length)) {
    int64_t count = 0;

    for (uint64_t at = 0; at < log->header->used; count++) {
        struct record record;
        const char *text = log->records + at + sizeof(record);

        memcpy(&record, log->records + at, sizeof(record));
        if (record_bytes(record.length) > log->header->used - at ||
            record.sum != sum_of(text, record.length))
            return fail("the log", "is damaged");
        if (visit)
            visit(text, record.length);
        at += record_bytes(record.length);
    }
    return count;
}

static int create(const char *path, const char *bytes) {
    struct log_header header = {MAGIC, 0};
    char *end;
    long long size = strtoll(bytes, &end, 0);
    int fd;

    if (*end != '\0' || size < (long long)sizeof(header))
        return fail(bytes, "not a number of bytes that holds a log");
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_DIRECT, 0644);
    if (fd < 0)
        return fail(path, strerror(errno));
    if (pwrite(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
        ftruncate(fd, size) != 0) {
        close(fd);
        return fail(path, strerror(errno));
    }
    if (daxpin_pin(fd, 0, 0, 0, DAXPIN_PIN_PREPARE) != 0) {
        close(fd);
        return fail(path, daxpin_errormsg());
    }
    close(fd);
    return 0;
}

static int fill(struct log *log, const char *count) {
    char text[64];

    for (long i = 0; i < atol(count); i++) {
        int length = snprintf(text, sizeof(text), "record %ld", i);

        if (log_append(log, text, (uint32_t)length) != 0)
            return -1;
        printf("%ld\n", i); /* told only when it is durable */
        fflush(stdout);
    }
    return 0;
}

static void print_record(const char *text, uint32_t length) {
    printf("%.*s\n", (int)length, text);
}

static double now_us(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof(double), by_value);
    return values[count / 2];
}

enum { ROUNDS = 1001, STORES = 16 }; /* stores a round: one alone is shorter than the clock */

static int bench(struct log *log, const char *path) {
    static double persist[ROUNDS], sync[ROUNDS];
    static const char line[64] = "sixty-four bytes of payload that somebody wants to keep safe";
    char beside[4096], *at = log->records + log->capacity / 2 / 64 * 64;
    int fd;

    if (log->header->used > log->capacity / 2 || log->capacity < 64 * 1024)
        return fail(path, "no room to bench in");
    snprintf(beside, sizeof(beside), "%s.bench", path);
    fd = open(beside, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        return fail(beside, strerror(errno));
    for (int i = 0; i < ROUNDS; i++) {
        double start = now_us(), middle;

        for (int j = 0; j < STORES; j++) {
            memcpy(at + 64 * j, line, sizeof(line));
            if (daxpin_persist(log->map, at + 64 * j, sizeof(line)) != 0)
                return fail("persist", daxpin_errormsg());
        }
        middle = now_us();
        if (pwrite(fd, line, sizeof(line), 0) != (ssize_t)sizeof(line) || fsync(fd) != 0)
            return fail(beside, strerror(errno));
        persist[i] = (middle - start) / STORES;
        sync[i] = now_us() - middle;
    }
    close(fd);
    unlink(beside);
    printf("64 bytes made durable: store + persist %.3f us, "
           "pwrite + fsync %.1f us (%.0f times)\n",
           median(persist, ROUNDS), median(sync, ROUNDS),
           median(sync, ROUNDS) / median(persist, ROUNDS));
    return 0;
}

static int verify(const struct log *log) {
    int64_t count = log_each(log, NULL);

    if (count < 0)
        return -1;
    printf("%" PRId64 "\n", count);
    return 0;
}

static int run(struct log *log, const char *command, const char *path, const char *argument) {
    if (strcmp(command, "append") == 0 && argument)
        return log_append(log, argument, (uint32_t)strlen(argument));
    if (strcmp(command, "fill") == 0 && argument)
        return fill(log, argument);
    if (strcmp(command, "list") == 0)
        return log_each(log, print_record) < 0 ? -1 : 0;
    if (strcmp(command, "verify") == 0)
        return verify(log);
    if (strcmp(command, "bench") == 0)
        return bench(log, path);
    return fail(command, "unknown command, or something is missing");
}

int main(int argc, char **argv) {
    struct log log;
    int done;

    if (argc < 3) {
        fprintf(stderr, "usage: pinlog create FILE BYTES | append FILE TEXT | "
                        "fill FILE COUNT | list FILE | verify FILE | bench FILE\n");
        return 2;
    }
    if (strcmp(argv[1], "create") == 0 && argc > 3)
        return create(argv[2], argv[3]) == 0 ? 0 : 1;
    if (log_open(&log, argv[2]) != 0)
        return 1;
    done = run(&log, argv[1], argv[2], argc > 3 ? argv[3] : NULL);
    daxpin_map_delete(&log.map);
    return done == 0 ? 0 : 1;
}
