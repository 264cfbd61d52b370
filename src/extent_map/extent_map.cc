// SPDX-License-Identifier: BSD-3-Clause
#include "extent_map/extent_map.h"

#include "base/assert.h"

#include <algorithm>

namespace daxpin::extent_map {

namespace {

using btree::Key;
using format::ItemType;

constexpr std::uint64_t file_blocks_max = std::uint64_t{1} << 51; // 2^63 bytes
constexpr std::uint64_t extent_blocks_max = UINT32_MAX;
constexpr std::uint32_t known_flags = format::extent_flag_unwritten;

Key key_of(InodeNumber inode, FileBlock block) {
    return Key::of(inode, ItemType::extent, block.value);
}

// The end of [first, first + count), which a caller may give as "everything from here on".
FileBlock end_of(FileBlock first, BlockCount count) {
    if (first.value >= file_blocks_max)
        return first;
    return first + BlockCount{std::min(count.value, file_blocks_max - first.value)};
}

// Device 0 holds data only where it is alone.
bool holds_data(const device::DeviceTable &devices, unsigned device) {
    return device != 0 || devices.count() == 1;
}

Result<Extent> decode(const device::DeviceTable &devices, Key key,
                      std::span<const std::byte> value) {
    format::ExtentItem item;
    if (value.size() != sizeof item)
        return Errc::corrupt;
    std::memcpy(&item, value.data(), sizeof item);
    const Extent extent{{key.offset()},
                        {item.media_block},
                        {item.block_count},
                        (item.flags & format::extent_flag_unwritten) != 0};
    const bool possible = extent.count.value > 0 && (item.flags & ~known_flags) == 0 &&
                          extent.end().value <= file_blocks_max &&
                          devices.contains({extent.start, extent.count}) &&
                          holds_data(devices, extent.start.device());
    if (!possible)
        return Errc::corrupt;
    return extent;
}

format::ExtentItem encode(const Extent &extent) {
    format::ExtentItem item{};
    item.media_block = extent.start.value;
    item.block_count = static_cast<std::uint32_t>(extent.count.value);
    item.flags = extent.unwritten ? format::extent_flag_unwritten : 0;
    return item;
}

// The part of `extent` in [first, end). REQUIRES: there is one.
Extent clip(const Extent &extent, FileBlock first, FileBlock end) {
    const FileBlock from = std::max(extent.first, first);
    const FileBlock to = std::min(extent.end(), end);
    return {from, extent.start + (from - extent.first), to - from, extent.unwritten};
}

// Equal addresses are on one device: its first block, its label, ends every run before it.
bool continues(const Extent &left, const Extent &right) {
    return left.end() == right.first && left.unwritten == right.unwritten &&
           left.start + left.count == right.start &&
           left.count.value + right.count.value <= extent_blocks_max;
}

// Appends, merged with the last one where it continues it.
void append(std::vector<Extent> &extents, const Extent &extent) {
    if (!extents.empty() && continues(extents.back(), extent))
        extents.back().count += extent.count;
    else
        extents.push_back(extent);
}

// What is left of `extent` before and behind [first, end).
void append_outside(std::vector<Extent> &extents, const Extent &extent, FileBlock first,
                    FileBlock end) {
    if (extent.first < first)
        append(extents, clip(extent, extent.first, first));
    if (end < extent.end())
        append(extents, clip(extent, end, extent.end()));
}

} // namespace

Result<std::optional<Extent>> ExtentMap::read_at_or_before(Transaction *tx, FileBlock block) const {
    btree::Item item;
    DAXPIN_TRY_ASSIGN(const bool found, tree_.previous(tx, key_of(inode_, block), item));
    if (!found || !item.key.is(inode_, ItemType::extent))
        return std::optional<Extent>{};
    DAXPIN_TRY_ASSIGN(const auto extent, decode(tree_.devices(), item.key, item.value()));
    return std::optional{extent};
}

Result<std::optional<Extent>> ExtentMap::read_at_or_behind(Transaction *tx, FileBlock block) const {
    btree::Item item;
    DAXPIN_TRY_ASSIGN(const bool found, tree_.next(tx, key_of(inode_, block), item));
    if (!found || !item.key.is(inode_, ItemType::extent))
        return std::optional<Extent>{};
    DAXPIN_TRY_ASSIGN(const auto extent, decode(tree_.devices(), item.key, item.value()));
    return std::optional{extent};
}

Result<std::vector<Extent>> ExtentMap::overlapping(Transaction *tx, FileBlock first, FileBlock end,
                                                   std::size_t limit) const {
    std::vector<Extent> extents;
    if (first >= end || limit == 0)
        return extents;
    FileBlock from = first;
    DAXPIN_TRY_ASSIGN(const auto before, read_at_or_before(tx, first));
    if (before && before->end() > first) {
        extents.push_back(*before);
        from = before->first + BlockCount{1};
    }
    if (extents.size() == limit || (!extents.empty() && extents.back().end() >= end))
        return extents;

    bool damaged = false;
    const auto visit = [&](Key key, std::span<const std::byte> value) {
        const auto extent = decode(tree_.devices(), key, value);
        if (!extent || (!extents.empty() && extent->first < extents.back().end())) {
            damaged = true;
            return false;
        }
        extents.push_back(*extent);
        return extents.size() < limit;
    };
    DAXPIN_TRY(tree_.scan(tx, key_of(inode_, from), key_of(inode_, end), visit));
    if (damaged)
        return Errc::corrupt;
    return extents;
}

Result<std::optional<Extent>> ExtentMap::at_or_after(Transaction *tx, FileBlock block) const {
    if (block.value >= file_blocks_max)
        return std::optional<Extent>{};
    DAXPIN_TRY_ASSIGN(const auto before, read_at_or_before(tx, block));
    if (before && before->end() > block)
        return before;
    return read_at_or_behind(tx, block);
}

Result<std::optional<Extent>> ExtentMap::last(Transaction *tx) const {
    return read_at_or_before(tx, FileBlock{file_blocks_max});
}

Result<std::vector<Extent>> ExtentMap::range(Transaction *tx, FileBlock first, BlockCount count,
                                             std::size_t limit) const {
    const FileBlock end = end_of(first, count);
    DAXPIN_TRY_ASSIGN(auto extents, overlapping(tx, first, end, limit));
    for (Extent &extent : extents)
        extent = clip(extent, first, end);
    return extents;
}

// Both lists are in order. Keys that stay are overwritten in place, which costs the record the
// few bytes that differ; erasing comes first, for what it frees serves the insertions.
Result<void> ExtentMap::rewrite(Transaction &tx, const std::vector<Extent> &old,
                                const std::vector<Extent> &wanted) {
    const auto at = [](const std::vector<Extent> &list, FileBlock first) {
        const auto found = std::ranges::lower_bound(list, first, {}, &Extent::first);
        return found != list.end() && found->first == first ? &*found : nullptr;
    };
    for (const Extent &extent : old) {
        if (at(wanted, extent.first) == nullptr)
            DAXPIN_TRY(tree_.erase(tx, key_of(inode_, extent.first)));
    }
    for (const Extent &extent : wanted) {
        const Extent *present = at(old, extent.first);
        if (present != nullptr && *present == extent)
            continue;
        const auto item = encode(extent);
        const Key key = key_of(inode_, extent.first);
        if (present != nullptr)
            DAXPIN_TRY(tree_.replace(tx, key, btree::bytes_of(item)));
        else
            DAXPIN_TRY(tree_.insert(tx, key, btree::bytes_of(item)));
    }
    return {};
}

Result<void> ExtentMap::insert(Transaction &tx, const Extent &extent) {
    DAXPIN_ASSERT(extent.count.value > 0 && extent.count.value <= extent_blocks_max);
    DAXPIN_ASSERT(extent.first.value < file_blocks_max &&
                  extent.count.value <= file_blocks_max - extent.first.value);
    DAXPIN_ASSERT(tree_.devices().contains({extent.start, extent.count}));
    DAXPIN_ASSERT(holds_data(tree_.devices(), extent.start.device()));

    DAXPIN_TRY_ASSIGN(const auto left, read_at_or_before(&tx, extent.first));
    DAXPIN_TRY_ASSIGN(const auto right, read_at_or_behind(&tx, extent.first + BlockCount{1}));
    // The caller saw a hole here under the lock it still holds: the media disagrees with itself.
    if ((left && left->end() > extent.first) || (right && right->first < extent.end()))
        return Errc::corrupt;

    std::vector<Extent> old;
    std::vector<Extent> wanted;
    if (left && continues(*left, extent)) {
        old.push_back(*left);
        wanted.push_back(*left);
    }
    append(wanted, extent);
    if (right && continues(extent, *right)) {
        old.push_back(*right);
        append(wanted, *right);
    }
    return rewrite(tx, old, wanted);
}

Result<ExtentMap::Removed> ExtentMap::remove(Transaction &tx, FileBlock first, BlockCount count,
                                             std::size_t items_max) {
    DAXPIN_ASSERT(items_max > 0);
    const FileBlock end = end_of(first, count);
    DAXPIN_TRY_ASSIGN(const auto old, overlapping(&tx, first, end, items_max));
    Removed removed{{}, {first.value + std::min(count.value, UINT64_MAX - first.value)}};
    std::vector<Extent> wanted;
    for (const Extent &extent : old) {
        append(removed.extents, clip(extent, first, end));
        append_outside(wanted, extent, first, end);
    }
    if (old.size() == items_max && old.back().end() < end)
        removed.next = old.back().end();
    DAXPIN_TRY(rewrite(tx, old, wanted));
    return removed;
}

Result<void> ExtentMap::mark_written(Transaction &tx, FileBlock first, BlockCount count) {
    return set_unwritten(tx, first, count, false);
}

Result<void> ExtentMap::mark_unwritten(Transaction &tx, FileBlock first, BlockCount count) {
    return set_unwritten(tx, first, count, true);
}

// Looks one block further at both sides, so that a neighbour with the same flag is merged.
Result<void> ExtentMap::set_unwritten(Transaction &tx, FileBlock first, BlockCount count,
                                      bool unwritten) {
    const FileBlock end = end_of(first, count);
    const FileBlock from{first.value - (first.value > 0 ? 1 : 0)};
    const FileBlock to{std::min(end.value + 1, file_blocks_max)};
    DAXPIN_TRY_ASSIGN(const auto old, overlapping(&tx, from, to, SIZE_MAX));
    std::vector<Extent> wanted;
    BlockCount covered;
    for (const Extent &extent : old) {
        if (extent.first < first)
            append(wanted, clip(extent, extent.first, std::min(first, extent.end())));
        if (extent.end() > first && extent.first < end) {
            Extent changed = clip(extent, first, end);
            changed.unwritten = unwritten;
            covered += changed.count;
            append(wanted, changed);
        }
        if (extent.end() > end)
            append(wanted, clip(extent, std::max(end, extent.first), extent.end()));
    }
    // Data was written to every block of the range under the lock still held: a hole now means
    // that the media disagrees with itself.
    if (!unwritten && covered != end - first)
        return Errc::corrupt;
    return rewrite(tx, old, wanted);
}

} // namespace daxpin::extent_map
