// SPDX-License-Identifier: BSD-3-Clause
#include "client/apart.h"

#include "client/error.h"

#include <array>
#include <csignal>
#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

// There if the program is built with ThreadSanitizer, which takes descriptors with the same number
// in two tables for one and the same.
extern "C" void __tsan_init() __attribute__((weak)); // NOLINT(bugprone-reserved-identifier)

namespace daxpin::client {

namespace {

constexpr std::size_t stack_bytes = std::size_t{256} << 10; // all of it is locked by mlockall(2)

// What the new table has is closed when the thread ends, which is a request for each file of a FUSE
// filesystem. So the kernel is asked to copy the standard files alone, without which a message of
// the C library's might go to whatever has got their numbers; before Linux 5.9 it copies all.
void leave_table() {
    if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, CLOSE_RANGE_UNSHARE) != 0)
        static_cast<void>(unshare(CLONE_FILES));
}

struct Start {
    void (*call)(void *);
    void *argument;
};

extern "C" void *start_apart(void *argument) {
    const auto *start = static_cast<const Start *>(argument);
    leave_table();
    start->call(start->argument);
    return nullptr;
}

// A handler of the program's has no business in a thread that it does not know.
bool make_thread(pthread_t &thread, Start &start) {
    pthread_attr_t attributes;
    sigset_t all, before;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    pthread_attr_setstacksize(&attributes, stack_bytes);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&thread, &attributes, start_apart, &start);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_attr_destroy(&attributes);
    return failed == 0;
}

} // namespace

// Not by the thread's number, which is another one where /proc is of another pid namespace; and not
// /proc/self/fd: that is the first thread, which may have ended or have other descriptors.
Result<std::string> path_of_descriptor(int fd) {
    std::array<char, 64> thread;
    const auto length = readlink("/proc/thread-self", thread.data(), thread.size());
    if (length < 0)
        return system_error("cannot open the file again: no /proc/thread-self");
    return "/proc/" + std::string(thread.data(), static_cast<std::size_t>(length)) + "/fd/" +
           std::to_string(fd);
}

void run_apart(void (*call)(void *), void *argument) {
    Start start{call, argument};
    if (pthread_t thread; __tsan_init == nullptr && make_thread(thread, start))
        pthread_join(thread, nullptr);
    else
        call(argument);
}

} // namespace daxpin::client
