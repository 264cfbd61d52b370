// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/thread.h"

#include <csignal>
#include <pthread.h>
#include <utility>

namespace daxpin::fusefs {

std::thread start_thread(const char *name, std::function<void()> work) {
    // Blocked before the start, so that no signal finds the thread in between.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    // A fault on media is the device layer's, on whichever thread it is raised.
    for (const int fault : {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGABRT})
        sigdelset(&all, fault);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread thread(std::move(work));
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_setname_np(thread.native_handle(), name);
    return thread;
}

} // namespace daxpin::fusefs
