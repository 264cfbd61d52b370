/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Preloaded into a daemon under test: spoils pages of its device mapping. An empty memfd is mapped
 * over a page, so that loads and stores there raise SIGBUS and the kernel's copies give EFAULT, as
 * poisoned memory does.
 *
 * DAXPIN_TEST_POISON names a unix socket that is made here. A connection sends "PATH OFFSET\n", a
 * device and a byte on it, and is answered "ok\n", or "no\n" if the page is not mapped.
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PAGE_BYTES 4096u

static char *find_page(const char *path, uint64_t offset) {
    char line[8192];
    char *found = NULL;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && !found && fgets(line, sizeof line, maps)) {
        uintptr_t begin, end;
        uint64_t at;
        int name = 0;
        line[strcspn(line, "\n")] = 0;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %" SCNx64 " %*s %*s %n", &begin, &end, &at,
                   &name) == 3 &&
            name > 0 && strcmp(line + name, path) == 0 && offset >= at &&
            offset < at + (end - begin))
            found = (char *)(begin + (offset - at) / PAGE_BYTES * PAGE_BYTES);
    }
    if (maps)
        fclose(maps);
    return found;
}

static int spoil(const char *path, uint64_t offset) {
    char *page = find_page(path, offset);
    int fd = page ? memfd_create("poison", MFD_CLOEXEC) : -1;
    if (fd < 0)
        return 0;
    void *mapped = mmap(page, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
    close(fd);
    return mapped != MAP_FAILED;
}

static void *serve(void *argument) {
    const int listening = *(int *)argument;
    for (;;) {
        const int fd = accept(listening, NULL, NULL);
        char order[8192], path[4096];
        uint64_t offset;
        if (fd < 0)
            return NULL;
        const ssize_t length = recv(fd, order, sizeof order - 1, 0);
        order[length < 0 ? 0 : length] = 0;
        const int done =
            sscanf(order, "%4095s %" SCNu64, path, &offset) == 2 && spoil(path, offset);
        send(fd, done ? "ok\n" : "no\n", 3, MSG_NOSIGNAL);
        close(fd);
    }
}

__attribute__((constructor)) static void start(void) {
    static int listening;
    const char *path = getenv("DAXPIN_TEST_POISON");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    sigset_t all, before;
    pthread_t thread;
    if (!path || strlen(path) >= sizeof address.sun_path)
        return;
    strcpy(address.sun_path, path);
    unlink(path);
    listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listening < 0 || bind(listening, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listening, 8) != 0)
        abort();
    /* The daemon's signals are for its own threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, serve, &listening) != 0)
        abort();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}
