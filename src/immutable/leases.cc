// SPDX-License-Identifier: BSD-3-Clause
#include "immutable/leases.h"

#include <algorithm>
#include <atomic>

namespace daxpin::immutable {

const Lease &Leases::grant(std::uint64_t handle, BlockRange range, bool write,
                           const Holder &holder) {
    if (leases_.empty())
        map_changed();
    return leases_.emplace_back(Lease{next_id_++, handle, range, write, holder, write, {}});
}

bool Leases::release(std::uint64_t handle, LeaseId id) {
    return std::erase_if(leases_, [&](const Lease &lease) {
               return lease.id == id && lease.handle == handle;
           }) > 0;
}

bool Leases::release_all(std::uint64_t handle) {
    return std::erase_if(leases_, [&](const Lease &lease) { return lease.handle == handle; }) > 0;
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

bool Leases::seals_overlap(BlockRange range) const {
    return std::any_of(leases_.begin(), leases_.end(), [&](const Lease &lease) {
        return lease.seals && lease.range.overlaps(range);
    });
}

bool Leases::seals_overlap_other(BlockRange range, std::uint64_t handle) const {
    return std::any_of(leases_.begin(), leases_.end(), [&](const Lease &lease) {
        return lease.seals && lease.handle != handle && lease.range.overlaps(range);
    });
}

void Leases::ask_back(std::int64_t until_ns) {
    for (Lease &lease : leases_)
        if (!lease.asked_back_until_ns)
            lease.asked_back_until_ns = until_ns;
}

bool Leases::asked_back() const {
    return std::any_of(leases_.begin(), leases_.end(),
                       [](const Lease &lease) { return lease.asked_back_until_ns.has_value(); });
}

void Leases::expire(std::int64_t since_boot_ns) {
    for (Lease &lease : leases_)
        if (lease.asked_back_until_ns && *lease.asked_back_until_ns <= since_boot_ns)
            lease.seals = false;
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

std::optional<BlockRange> Leases::leased_part(BlockRange range) const {
    FileBlock first = range.end();
    FileBlock end = range.first;
    for (const Lease &lease : leases_)
        if (lease.range.overlaps(range)) {
            first = std::min(first, std::max(lease.range.first, range.first));
            end = std::max(end, std::min(lease.range.end(), range.end()));
        }
    if (first >= end)
        return std::nullopt;
    return BlockRange{first, end - first};
}

const std::vector<std::uint32_t> &Leases::keep(MediaRun run, BlockRange range) {
    std::vector<std::uint32_t> holders;
    for (const Lease &lease : leases_)
        if (lease.range.overlaps(range))
            holders.push_back(lease.holder.uid);
    std::sort(holders.begin(), holders.end());
    holders.erase(std::unique(holders.begin(), holders.end()), holders.end());
    const auto kept =
        kept_.emplace(run.start, Kept{run.count, range, next_id_, std::move(holders)});
    return kept->second.holders;
}

bool Leases::is_leased(const Kept &kept) const {
    return std::any_of(leases_.begin(), leases_.end(), [&](const Lease &lease) {
        return lease.id < kept.before && lease.range.overlaps(kept.range);
    });
}

std::vector<Returned> Leases::take_returned() {
    std::vector<Returned> returned;
    returned.reserve(kept_.size()); // nothing may fail once they are taken
    std::erase_if(kept_, [&](auto &entry) {
        auto &[start, kept] = entry;
        if (is_leased(kept))
            return false;
        returned.push_back({{start, kept.count}, std::move(kept.holders)});
        return true;
    });
    return returned;
}

void Leases::map_changed() {
    // One counter for the process, so that it goes on when an inode leaves memory and comes back.
    static std::atomic<std::uint64_t> last{0};
    generation_ = last.fetch_add(1, std::memory_order_relaxed) + 1;
}

bool Leases::keeps(MediaBlock start) const {
    return kept_.contains(start);
}

} // namespace daxpin::immutable
