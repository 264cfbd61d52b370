// SPDX-License-Identifier: BSD-3-Clause
#include "client/lease.h"

#include "base/types.h"
#include "client/apart.h"
#include "client/broker.h"
#include "client/device.h"
#include "client/process.h"
#include "client/stores.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

namespace daxpin::client {

namespace {

using Key = std::tuple<dev_t, ino_t, bool>; // the mount, the inode, whether for writing
using Table = std::multimap<Key, std::weak_ptr<Lease>>;

// Never freed, so that no destructor of the process runs before the last map is gone.
Table &table() REQUIRES(process_mutex) {
    static auto *const leases = new Table;
    return *leases;
}

Key key_of(const FileRange &range) {
    return {range.mount, range.inode, range.writable};
}

} // namespace

Result<std::shared_ptr<Lease>> Lease::obtain(int fd, const FileRange &range, bool prepare) {
    std::vector<std::shared_ptr<Lease>> seen; // dropped after the lock: a destructor takes it
    {
        const ProcessLock lock;
        auto [at, end] = table().equal_range(key_of(range));
        // Before the first is seen: where memory ends, none is dropped under the lock.
        seen.reserve(static_cast<std::size_t>(std::distance(at, end)));
        for (; at != end; ++at) {
            seen.push_back(at->second.lock());
            if (seen.back() != nullptr && seen.back()->covers(range))
                return seen.back();
        }
    }
    auto fresh = std::shared_ptr<Lease>(new Lease(range));
    DAXPIN_TRY(fresh->take(fd, prepare));
    return fresh;
}

Result<void> Lease::take(int fd, bool prepare) {
    DAXPIN_TRY_ASSIGN(const auto path, path_of_descriptor(fd));
    if (prepare)
        DAXPIN_TRY(prepare_range(fd, range_));
    std::map<unsigned, daxpin_ticket> tickets;
    auto taken = apart([&] { return take_from(path, prepare, tickets); });
    // A filesystem without O_DIRECT refuses to open the file before it is asked for a lease.
    if (!taken && taken.code() != Errc::stale)
        return unless_foreign(fd, std::move(taken).error());
    DAXPIN_TRY(std::move(taken));
    for (const auto &[index, ticket] : tickets) {
        DAXPIN_TRY_ASSIGN(passed_[index], open_by_broker(ticket, index));
    }
    return {};
}

Result<void> Lease::take_from(const std::string &path, bool prepare,
                              std::map<unsigned, daxpin_ticket> &tickets) {
    DAXPIN_TRY_ASSIGN(const auto file, lease_file(path, range_, prepare));
    generation_ = file.generation;
    DAXPIN_TRY_ASSIGN(anchor_, AddressRange::anchor(file.fd.get(), range_.offset));
    DAXPIN_TRY_ASSIGN(extents_, leased_extents(file, range_));
    for (const auto &extent : extents_)
        if (!devices_.contains(extent.device)) {
            DAXPIN_TRY_ASSIGN(devices_[extent.device], device_of(file, extent.device));
        }
    for (const auto &[index, device] : devices_)
        if ((device.flags & DAXPIN_DEVICE_BROKER) != 0) {
            DAXPIN_TRY_ASSIGN(tickets[index], ticket_of(file));
        }
    return {};
}

Result<UniqueFd> Lease::open_device(unsigned index) {
    if (needs_broker())
        return std::move(passed_.at(index));
    return client::open_device(devices_.at(index), range_.writable);
}

bool Lease::needs_broker() const {
    return std::ranges::any_of(devices_, [](const auto &entry) {
        return (entry.second.flags & DAXPIN_DEVICE_BROKER) != 0;
    });
}

bool Lease::covers(const FileRange &range) const {
    return range_.offset <= range.offset && range.end() <= range_.end();
}

Lease::~Lease() {
    if (known_)
        forget();
}

// Also what others left behind between their last reference and their destructor.
void Lease::forget() {
    const auto own = weak_from_this();
    const ProcessLock lock;
    auto [at, end] = table().equal_range(key_of(range_));
    while (at != end) {
        const auto &lease = at->second;
        const bool is_own = !lease.owner_before(own) && !own.owner_before(lease);
        at = is_own || lease.expired() ? table().erase(at) : std::next(at);
    }
}

// A new lease is none of those that were asked back.
Result<void> Lease::check(int fd) const {
    if (known_ && is_asked_back(fd))
        return Errc::stale;
    if (known_ && range_.writable)
        return {};
    return check_generation(fd, generation_);
}

bool Lease::holds(const daxpin_file_status &status) const {
    const auto &now = status.generation;
    const bool sealed = range_.writable && (status.flags & DAXPIN_STATUS_ASKED_BACK) == 0;
    return now.mount_id == generation_.mount_id && (sealed || now.counter == generation_.counter);
}

Result<void> Lease::confirm(int fd) {
    if (const auto checked = check(fd); !checked) {
        if (known_)
            forget();
        return checked;
    }
    if (!known_ && !needs_broker()) {
        known_ = true;
        const ProcessLock lock;
        table().emplace(key_of(range_), weak_from_this());
    }
    return {};
}

std::uint64_t Lease::end() const {
    return extents_.back().file_offset + extents_.back().length;
}

std::uint64_t Lease::mapping_unit() const {
    std::uint64_t unit = 1;
    for (const auto &[index, device] : devices_)
        unit = std::max<std::uint64_t>(unit, device.mapping_unit);
    return unit;
}

bool Lease::has_huge_pages_only() const {
    return std::ranges::any_of(devices_, [](const auto &entry) {
        return entry.second.number != 0 && entry.second.mapping_unit > block_size;
    });
}

unsigned Lease::granularity() const {
    unsigned strictest = DAXPIN_GRANULARITY_NONE;
    for (const auto &[index, device] : devices_)
        strictest = stricter(strictest, device.granularity);
    return strictest;
}

} // namespace daxpin::client
