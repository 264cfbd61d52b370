// SPDX-License-Identifier: BSD-3-Clause
//
// Tickets: proofs of a lease that the broker takes for a descriptor.
//
// A ticket is given over the open file that holds the lease and is good once, for a few seconds,
// for the process that asked. A lease has one at a time: the next makes the one before void. So
// there are never more than leases, whatever clients do.
#pragma once

#include "base/env.h"
#include "base/sync.h"
#include "base/types.h"
#include "volume/types.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <sys/types.h>
#include <utility>

namespace daxpin::fusefs {

class Tickets {
  public:
    using Clock = std::chrono::steady_clock;
    using Bytes = std::array<std::byte, 32>;
    static constexpr std::chrono::seconds lifetime{10};

    struct Lease {
        InodeNumber inode;
        volume::Handle handle;
        immutable::LeaseId id;
    };
    struct Holder {
        uid_t uid;
        pid_t process; // 0 = of another pid namespace, on both ways to the daemon
        bool operator==(const Holder &) const = default;
    };

    explicit Tickets(Env &env) : env_(env) {}

    Bytes issue(const Lease &lease, Holder holder, Clock::time_point now);

    // The lease that a ticket proves, if it is `holder` who shows it. The lease may have ended by
    // now. Nothing for what is no ticket, or another's, used, replaced or too old.
    std::optional<Lease> redeem(std::span<const std::byte> ticket, Holder holder,
                                Clock::time_point now);

  private:
    using Key = std::pair<std::uint64_t, immutable::LeaseId>; // inode, lease: stands in the ticket
    struct Ticket {
        Bytes bytes;
        volume::Handle handle;
        Holder holder;
        Clock::time_point end;
    };

    Env &env_;
    Mutex mutex_;
    std::map<Key, Ticket> tickets_ GUARDED_BY(mutex_);
};

} // namespace daxpin::fusefs
