// SPDX-License-Identifier: BSD-3-Clause
//
// FamilyLock: a mutex that a process shares with those it forks, and that outlives the death of
// whoever holds it.
#pragma once

#include "client/address_range.h"

#include <pthread.h>

namespace daxpin::client {

class FamilyLock {
  public:
    FamilyLock() = default;
    static Result<FamilyLock> make();

    // Waits. True if the last holder died with it, so that what it did may be half done.
    bool lock();
    void unlock();

  private:
    pthread_mutex_t *mutex() const {
        return reinterpret_cast<pthread_mutex_t *>(memory_.address());
    }
    AddressRange memory_;
};

} // namespace daxpin::client
