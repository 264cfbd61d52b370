// SPDX-License-Identifier: BSD-3-Clause
#include "immutable/lease_accounts.h"

#include "base/assert.h"

namespace daxpin::immutable {

Result<void> LeaseAccounts::check_locked(std::uint32_t uid) const {
    const auto reached = [](std::uint64_t count, std::uint64_t limit) {
        return limit != 0 && count >= limit;
    };
    const auto account = accounts_.find(uid);
    if (uid == 0 || account == accounts_.end())
        return {};
    if (reached(account->second.leases, limits_.leases) ||
        reached(account->second.quarantined_blocks, limits_.quarantined_blocks))
        return Errc::quota;
    return {};
}

Result<void> LeaseAccounts::check(std::uint32_t uid) const {
    const MutexLock lock(mutex_);
    return check_locked(uid);
}

Result<void> LeaseAccounts::open(std::uint32_t uid) {
    const MutexLock lock(mutex_);
    DAXPIN_TRY(check_locked(uid));
    ++accounts_[uid].leases;
    return {};
}

void LeaseAccounts::close(std::uint32_t uid) {
    const MutexLock lock(mutex_);
    const auto account = accounts_.find(uid);
    DAXPIN_ASSERT(account != accounts_.end() && account->second.leases > 0);
    if (--account->second.leases == 0 && account->second.quarantined_blocks == 0)
        accounts_.erase(account);
}

void LeaseAccounts::charge(std::uint32_t uid, std::uint64_t blocks) {
    const MutexLock lock(mutex_);
    accounts_[uid].quarantined_blocks += blocks;
}

void LeaseAccounts::discharge(std::uint32_t uid, std::uint64_t blocks) {
    const MutexLock lock(mutex_);
    const auto account = accounts_.find(uid);
    DAXPIN_ASSERT(account != accounts_.end() && account->second.quarantined_blocks >= blocks);
    account->second.quarantined_blocks -= blocks;
    if (account->second.leases == 0 && account->second.quarantined_blocks == 0)
        accounts_.erase(account);
}

} // namespace daxpin::immutable
