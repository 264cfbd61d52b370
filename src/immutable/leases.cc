// SPDX-License-Identifier: BSD-3-Clause
#include "immutable/leases.h"

#include <algorithm>

namespace daxpin::immutable {

const Lease &Leases::grant(std::uint64_t handle, BlockRange range, bool write) {
    if (leases_.empty())
        keeper_ = std::make_shared<char>();
    return leases_.emplace_back(Lease{next_id_++, handle, range, write});
}

bool Leases::release(std::uint64_t handle, LeaseId id) {
    const auto gone = std::erase_if(
        leases_, [&](const Lease &lease) { return lease.id == id && lease.handle == handle; });
    if (leases_.empty())
        keeper_.reset();
    return gone > 0;
}

bool Leases::release_all(std::uint64_t handle) {
    const auto gone =
        std::erase_if(leases_, [&](const Lease &lease) { return lease.handle == handle; });
    if (leases_.empty())
        keeper_.reset();
    return gone > 0;
}

const Lease *Leases::find(std::uint64_t handle, LeaseId id) const {
    const auto found = std::find_if(leases_.begin(), leases_.end(), [&](const Lease &lease) {
        return lease.id == id && lease.handle == handle;
    });
    return found == leases_.end() ? nullptr : &*found;
}

bool Leases::holds_write(std::uint64_t handle) const {
    return std::any_of(leases_.begin(), leases_.end(),
                       [&](const Lease &lease) { return lease.write && lease.handle == handle; });
}

bool Leases::overlaps(BlockRange range) const {
    return std::any_of(leases_.begin(), leases_.end(),
                       [&](const Lease &lease) { return lease.range.overlaps(range); });
}

bool Leases::write_overlaps(BlockRange range) const {
    return std::any_of(leases_.begin(), leases_.end(), [&](const Lease &lease) {
        return lease.write && lease.range.overlaps(range);
    });
}

bool Leases::write_overlaps_other(BlockRange range, std::uint64_t handle) const {
    return std::any_of(leases_.begin(), leases_.end(), [&](const Lease &lease) {
        return lease.write && lease.handle != handle && lease.range.overlaps(range);
    });
}

bool Leases::covers(std::uint64_t handle, BlockRange range) const {
    std::vector<BlockRange> own;
    for (const Lease &lease : leases_)
        if (lease.handle == handle && lease.range.overlaps(range))
            own.push_back(lease.range);
    std::sort(own.begin(), own.end(),
              [](const BlockRange &a, const BlockRange &b) { return a.first < b.first; });
    FileBlock covered = range.first;
    for (const BlockRange &piece : own)
        if (piece.first <= covered)
            covered = std::max(covered, piece.end());
    return range.end() <= covered;
}

} // namespace daxpin::immutable
