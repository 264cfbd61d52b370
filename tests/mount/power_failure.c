/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Preloaded into a program that uses libdaxpin: ends it at its Nth daxpin_persist(), and leaves in
 * the file what a power failure could have left. What was persisted is there; each aligned 8-byte
 * word that was stored and not persisted is there or not, by a seed, as if some cache lines had
 * been evicted.
 *
 *   POWER_FAILURE_AT=N POWER_FAILURE_SEED=S LD_PRELOAD=libpower_failure.so PROGRAM...
 *
 * A mapping is copied when it is made; persisted lines are copied after it. Exit status 99 = the
 * power failed. The program makes its mappings one at a time.
 */
#include <daxpin/daxpin.h>

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE = 64, FAILED = 99 };

static char *mapped, *durable;
static size_t bytes;
static long persists;

static uint64_t next_random(void) {
    static uint64_t state;

    if (state == 0)
        state = strtoull(getenv("POWER_FAILURE_SEED"), NULL, 0) * 2 + 1;
    state ^= state << 13; /* xorshift */
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void fail_power(void) {
    for (size_t at = 0; at + 8 <= bytes; at += 8)
        if (memcmp(mapped + at, durable + at, 8) != 0 && next_random() % 2 == 0)
            memcpy(mapped + at, durable + at, 8);
    _exit(FAILED);
}

int daxpin_map_new_reserved(struct daxpin_map **map, int fd, uint64_t offset, size_t length,
                            size_t reserve, unsigned flags) {
    int (*next)(struct daxpin_map **, int, uint64_t, size_t, size_t, unsigned) =
        dlsym(RTLD_NEXT, "daxpin_map_new_reserved");
    int made = next(map, fd, offset, length, reserve, flags);

    if (made == 0) {
        mapped = daxpin_map_get_address(*map);
        bytes = daxpin_map_get_size(*map);
        durable = malloc(bytes);
        memcpy(durable, mapped, bytes);
    }
    return made;
}

int daxpin_map_new(struct daxpin_map **map, int fd, uint64_t offset, size_t length,
                   unsigned flags) {
    return daxpin_map_new_reserved(map, fd, offset, length, 0, flags);
}

/* The power fails just before the range is durable, or just after. */
int daxpin_persist(const struct daxpin_map *map, const void *address, size_t length) {
    size_t from = (size_t)((const char *)address - mapped) / LINE * LINE;
    size_t to = ((size_t)((const char *)address - mapped) + length + LINE - 1) / LINE * LINE;
    long fails_at = atol(getenv("POWER_FAILURE_AT"));

    (void)map;
    if (to > bytes)
        to = bytes;
    if (++persists == fails_at)
        fail_power();
    memcpy(durable + from, mapped + from, to - from);
    if (++persists == fails_at)
        fail_power();
    return 0;
}

int daxpin_memcpy_persist(const struct daxpin_map *map, void *destination, const void *source,
                          size_t length) {
    memcpy(destination, source, length);
    return daxpin_persist(map, destination, length);
}
