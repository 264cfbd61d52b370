// SPDX-License-Identifier: BSD-3-Clause
#include "client/family_lock.h"

#include <cerrno>
#include <new>

namespace daxpin::client {

Result<FamilyLock> FamilyLock::make() {
    FamilyLock lock;
    DAXPIN_TRY_ASSIGN(lock.memory_, AddressRange::shared(sizeof(pthread_mutex_t)));
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    const int failed =
        pthread_mutex_init(new (lock.memory_.address()) pthread_mutex_t, &attributes);
    pthread_mutexattr_destroy(&attributes);
    if (failed != 0)
        return Errc::out_of_memory;
    return lock;
}

bool FamilyLock::lock() {
    if (pthread_mutex_lock(mutex()) != EOWNERDEAD)
        return false;
    pthread_mutex_consistent(mutex());
    return true;
}

void FamilyLock::unlock() {
    pthread_mutex_unlock(mutex());
}

} // namespace daxpin::client
