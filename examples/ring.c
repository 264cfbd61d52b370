/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring: messages from one process to another through a pinned file, durable on their way.
 *
 *   ring create FILE MESSAGES   makes a ring that holds so many messages
 *   ring send FILE COUNT        sends numbered messages, printing each number when it is durable
 *   ring receive FILE COUNT     prints messages as they come
 *   ring status FILE            prints how many were sent and received
 *
 * One sender and one receiver at a time, each the only writer of its own counter. A counter is
 * stored twice: `durable`, which a restart goes by, and then `shown`, which the other side reads.
 * If they were one, a receiver could take a message that a power failure makes unsent again, or a
 * sender overwrite one that it makes unreceived. A message is sent once; one whose receiver died
 * before it had counted it is received again.
 */
#include <daxpin/daxpin.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAGIC UINT64_C(0x31474e4952) /* "RING1" */
#define LINE 64                      /* bytes of a cache line: nothing below crosses one */

struct counter {
    _Alignas(LINE) uint64_t durable;
    uint64_t shown;
};

struct message {
    _Alignas(LINE) uint64_t number;
    uint32_t length;
    uint32_t sum;
    char text[LINE - 16];
};

struct header {
    uint64_t magic;
    uint64_t slots;
    struct counter sent, received;
};

struct ring {
    struct daxpin_map *map;
    struct header *header;
    struct message *slots;
    int fd; /* kept for its lock */
};

enum lock {
    SENDER,
    RECEIVER,
    OPENING /* held while a side is opened: who looks for the other takes its lock for a moment */
};

static int fail(const char *what, const char *why) {
    fprintf(stderr, "ring: %s: %s\n", what, why);
    return -1;
}

static uint32_t sum_of(const struct message *message) {
    uint32_t sum = 2166136261u ^ (uint32_t)message->number; /* FNV-1a */

    for (uint32_t i = 0; i < message->length; i++)
        sum = (sum ^ (unsigned char)message->text[i]) * 16777619u;
    return sum;
}

/* A byte of the file stands for each lock, which ends with the process. */
static int set_lock(int fd, enum lock which, short type, int command) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = which, .l_len = 1};

    return fcntl(fd, command, &lock);
}

static int try_lock(int fd, enum lock side) {
    return set_lock(fd, side, F_WRLCK, F_OFD_SETLK);
}

static void unlock(int fd, enum lock which) {
    set_lock(fd, which, F_UNLCK, F_OFD_SETLK);
}

static uint64_t look(const struct counter *counter) {
    return __atomic_load_n(&counter->shown, __ATOMIC_ACQUIRE);
}

static void show(struct counter *counter) {
    __atomic_store_n(&counter->shown, counter->durable, __ATOMIC_RELEASE);
}

static int count(struct ring *ring, struct counter *counter) {
    __atomic_store_n(&counter->durable, counter->durable + 1, __ATOMIC_RELAXED);
    if (daxpin_persist(ring->map, counter, sizeof(*counter)) != 0)
        return fail("the counter", daxpin_errormsg());
    show(counter);
    return 0;
}

static int ring_map(struct ring *ring, const char *path) {
    ring->fd = open(path, O_RDWR | O_DIRECT);
    if (ring->fd < 0)
        return fail(path, strerror(errno));
    if (daxpin_map_new(&ring->map, ring->fd, 0, 0, 0) != 0)
        return fail(path, daxpin_errormsg());
    ring->header = daxpin_map_get_address(ring->map);
    ring->slots = (struct message *)(ring->header + 1);
    if (daxpin_map_get_size(ring->map) < sizeof(*ring->header) || ring->header->magic != MAGIC ||
        ring->header->slots > (daxpin_map_get_size(ring->map) - sizeof(*ring->header)) / LINE)
        return fail(path, "not a ring: make one with 'ring create'");
    return 0;
}

/* Opens one side, and shows what the other has counted if nobody is there to do it. */
static int ring_open(struct ring *ring, const char *path, enum lock side) {
    enum lock other = side == SENDER ? RECEIVER : SENDER;

    if (ring_map(ring, path) != 0)
        return -1;
    if (set_lock(ring->fd, OPENING, F_WRLCK, F_OFD_SETLKW) != 0)
        return fail(path, strerror(errno));
    if (try_lock(ring->fd, side) != 0)
        return fail(path, side == SENDER ? "has a sender already" : "has a receiver already");
    show(side == SENDER ? &ring->header->sent : &ring->header->received);
    if (try_lock(ring->fd, other) == 0) {
        show(other == SENDER ? &ring->header->sent : &ring->header->received);
        unlock(ring->fd, other);
    }
    unlock(ring->fd, OPENING);
    return 0;
}

/* Waits until the counter is not `value`; a program that must not sleep would spin here. */
static void wait_while(const struct counter *counter, uint64_t value) {
    const struct timespec moment = {0, 50000};

    while (look(counter) == value)
        nanosleep(&moment, NULL);
}

static int ring_send(struct ring *ring, const char *text, size_t length) {
    uint64_t number = ring->header->sent.durable;
    struct message *slot = &ring->slots[number % ring->header->slots];
    struct message message = {.number = number, .length = (uint32_t)length};

    if (length > sizeof(message.text))
        return fail("the message", "is too long");
    memcpy(message.text, text, length);
    message.sum = sum_of(&message);
    if (number >= ring->header->slots) /* full until the oldest is received */
        wait_while(&ring->header->received, number - ring->header->slots);
    if (daxpin_memcpy_persist(ring->map, slot, &message, sizeof(message)) != 0)
        return fail("the message", daxpin_errormsg());
    return count(ring, &ring->header->sent);
}

static int ring_receive(struct ring *ring) {
    uint64_t number = ring->header->received.durable;
    const struct message *slot = &ring->slots[number % ring->header->slots];

    wait_while(&ring->header->sent, number);
    if (slot->number != number || slot->length > sizeof(slot->text) || slot->sum != sum_of(slot))
        return fail("the ring", "is damaged");
    printf("%.*s\n", (int)slot->length, slot->text);
    fflush(stdout); /* done with it, and only now counted */
    return count(ring, &ring->header->received);
}

static int create(const char *path, const char *messages) {
    struct header header = {.magic = MAGIC, .slots = strtoull(messages, NULL, 0)};
    int fd;

    if (header.slots == 0 || header.slots > UINT32_MAX)
        return fail(messages, "not a number of messages");
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_DIRECT, 0644);
    if (fd < 0)
        return fail(path, strerror(errno));
    if (pwrite(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
        ftruncate(fd, (off_t)(sizeof(header) + header.slots * LINE)) != 0)
        return fail(path, strerror(errno));
    if (daxpin_pin(fd, 0, 0, 0, DAXPIN_PIN_PREPARE) != 0)
        return fail(path, daxpin_errormsg());
    close(fd);
    return 0;
}

static int send_many(struct ring *ring, const char *messages) {
    char text[LINE];

    for (long i = 0; i < atol(messages); i++) {
        uint64_t number = ring->header->sent.durable;
        int length = snprintf(text, sizeof(text), "message %" PRIu64, number);

        if (ring_send(ring, text, (size_t)length) != 0)
            return -1;
        printf("%" PRIu64 "\n", number);
        fflush(stdout);
    }
    return 0;
}

static int receive_many(struct ring *ring, const char *messages) {
    for (long i = 0; i < atol(messages); i++)
        if (ring_receive(ring) != 0)
            return -1;
    return 0;
}

static int run(struct ring *ring, const char *command, const char *path, const char *argument) {
    if (strcmp(command, "send") == 0 && argument)
        return ring_open(ring, path, SENDER) != 0 ? -1 : send_many(ring, argument);
    if (strcmp(command, "receive") == 0 && argument)
        return ring_open(ring, path, RECEIVER) != 0 ? -1 : receive_many(ring, argument);
    if (strcmp(command, "status") != 0)
        return fail(command, "unknown command, or something is missing");
    if (ring_map(ring, path) != 0)
        return -1;
    printf("%" PRIu64 " sent, %" PRIu64 " received\n", ring->header->sent.durable,
           ring->header->received.durable);
    return 0;
}

int main(int argc, char **argv) {
    struct ring ring = {.fd = -1};
    int done;

    if (argc < 3) {
        fprintf(stderr, "usage: ring create FILE MESSAGES | send FILE COUNT | "
                        "receive FILE COUNT | status FILE\n");
        return 2;
    }
    if (strcmp(argv[1], "create") == 0 && argc > 3)
        return create(argv[2], argv[3]) == 0 ? 0 : 1;
    done = run(&ring, argv[1], argv[2], argc > 3 ? argv[3] : NULL);
    daxpin_map_delete(&ring.map);
    return done == 0 ? 0 : 1;
}
