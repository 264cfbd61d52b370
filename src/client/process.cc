// SPDX-License-Identifier: BSD-3-Clause
#include "client/process.h"

namespace daxpin::client {

constinit Mutex process_mutex;

namespace {

void before_fork() NO_THREAD_SAFETY_ANALYSIS {
    process_mutex.lock();
}

void after_fork() NO_THREAD_SAFETY_ANALYSIS {
    process_mutex.unlock();
}

void watch_forks() {
    static_cast<void>(pthread_atfork(before_fork, after_fork, after_fork));
}

pthread_once_t forks_watched = PTHREAD_ONCE_INIT;

} // namespace

ProcessLock::ProcessLock() {
    pthread_once(&forks_watched, watch_forks);
    process_mutex.lock();
}

} // namespace daxpin::client
