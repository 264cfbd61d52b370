// SPDX-License-Identifier: BSD-3-Clause
//
// LeaseAccounts: what each user has of leases, and of blocks in quarantine for their sake; and how
// much of it a user may have. Whoever is at a limit gets no new lease; nothing else fails for it.
//
// Thread-safe; a leaf.
#pragma once

#include "base/result.h"
#include "base/sync.h"

#include <cstdint>
#include <unordered_map>

namespace daxpin::immutable {

struct LeaseLimits { // of one user but root; 0: none
    std::uint64_t leases = 65536;
    std::uint64_t quarantined_blocks = 0;
};

class LeaseAccounts {
  public:
    explicit LeaseAccounts(const LeaseLimits &limits) : limits_(limits) {}

    // Whether the user may have one lease more; and counts it. ERRORS: quota.
    Result<void> check(std::uint32_t uid) const;
    Result<void> open(std::uint32_t uid);
    void close(std::uint32_t uid);
    // Blocks entered the quarantine under a lease of the user, or left it.
    void charge(std::uint32_t uid, std::uint64_t blocks);
    void discharge(std::uint32_t uid, std::uint64_t blocks);

  private:
    struct Account {
        std::uint64_t leases = 0;
        std::uint64_t quarantined_blocks = 0;
    };
    Result<void> check_locked(std::uint32_t uid) const REQUIRES(mutex_);

    const LeaseLimits limits_;
    mutable Mutex mutex_;
    std::unordered_map<std::uint32_t, Account> accounts_ GUARDED_BY(mutex_);
};

} // namespace daxpin::immutable
