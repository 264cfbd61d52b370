// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/tickets.h"

#include <cstring>
#include <sodium.h>

namespace daxpin::fusefs {
namespace {

// inode, lease, 16 random bytes.
constexpr std::size_t lease_at = 8;
constexpr std::size_t random_at = 16;

std::uint64_t number_at(std::span<const std::byte> ticket, std::size_t at) {
    std::uint64_t number;
    std::memcpy(&number, ticket.data() + at, sizeof number);
    return number;
}

} // namespace

Tickets::Bytes Tickets::issue(const Lease &lease, Holder holder, Clock::time_point now) {
    Bytes bytes;
    std::memcpy(bytes.data(), &lease.inode.value, sizeof lease.inode.value);
    std::memcpy(bytes.data() + lease_at, &lease.id, sizeof lease.id);
    env_.random(std::span(bytes).subspan(random_at));
    const MutexLock lock(mutex_);
    std::erase_if(tickets_, [&](const auto &entry) { return entry.second.end < now; });
    tickets_[{lease.inode.value, lease.id}] = {bytes, lease.handle, holder, now + lifetime};
    return bytes;
}

std::optional<Tickets::Lease> Tickets::redeem(std::span<const std::byte> ticket, Holder holder,
                                              Clock::time_point now) {
    if (ticket.size() != sizeof(Bytes))
        return std::nullopt;
    const Key key{number_at(ticket, 0), number_at(ticket, lease_at)};
    const MutexLock lock(mutex_);
    const auto found = tickets_.find(key);
    if (found == tickets_.end())
        return std::nullopt;
    const Ticket &known = found->second;
    if (sodium_memcmp(known.bytes.data(), ticket.data(), ticket.size()) != 0 ||
        known.holder != holder || known.end < now)
        return std::nullopt; // and whose it is may still use it
    const Lease lease{InodeNumber{key.first}, known.handle, key.second};
    tickets_.erase(found);
    return lease;
}

} // namespace daxpin::fusefs
