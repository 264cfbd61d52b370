// SPDX-License-Identifier: BSD-3-Clause
//
// The library's one lock for what a whole process shares.
//
// fork() waits for it, so that a child never inherits it held by a thread it does not have.
// Held for a few instructions, never across a request to the filesystem or a destructor of
// this library.
#pragma once

#include "base/sync.h"

namespace daxpin::client {

extern Mutex process_mutex;

class SCOPED_CAPABILITY ProcessLock {
  public:
    ProcessLock() ACQUIRE(process_mutex);
    ~ProcessLock() RELEASE(process_mutex) { process_mutex.unlock(); }
    ProcessLock(const ProcessLock &) = delete;
    ProcessLock &operator=(const ProcessLock &) = delete;
};

} // namespace daxpin::client
