// SPDX-License-Identifier: BSD-3-Clause
//
// The library's one lock for what a whole process shares, and what it does about threads that are
// cancelled.
//
// fork() waits for the lock, so that a child never inherits it held by a thread it does not have.
// Held for a few instructions, never across a request to the filesystem or a destructor of
// this library.
#pragma once

#include "base/sync.h"

#include <pthread.h>

namespace daxpin::client {

extern Mutex process_mutex;

class SCOPED_CAPABILITY ProcessLock {
  public:
    ProcessLock() ACQUIRE(process_mutex);
    ~ProcessLock() RELEASE(process_mutex) { process_mutex.unlock(); }
    ProcessLock(const ProcessLock &) = delete;
    ProcessLock &operator=(const ProcessLock &) = delete;
};

// While it lives pthread_cancel() waits: a thread that is cancelled in a system call would leave
// the library as by an exception, through functions that have none, which ends the process.
class Uncancelled {
  public:
    Uncancelled() { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
    ~Uncancelled() { pthread_setcancelstate(before_, nullptr); }
    Uncancelled(const Uncancelled &) = delete;
    Uncancelled &operator=(const Uncancelled &) = delete;

  private:
    int before_ = PTHREAD_CANCEL_ENABLE;
};

} // namespace daxpin::client
