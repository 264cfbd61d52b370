// SPDX-License-Identifier: BSD-3-Clause
#include "immutable/pin_table.h"

#include "base/assert.h"

#include <algorithm>
#include <optional>

namespace daxpin::immutable {
namespace {

using btree::Key;
using format::ItemType;

// No file has blocks at or beyond this one: sizes end at 2^63 - 1, mapping units at 2^30.
constexpr std::uint64_t blocks_end = std::uint64_t{1} << 52;

Key key_of(InodeNumber inode, std::uint64_t block) {
    return Key::of(inode, ItemType::pin, block);
}

Result<BlockRange> decode(Key key, std::span<const std::byte> value) {
    format::PinItem item;
    if (value.size() != sizeof(item))
        return Errc::corrupt;
    std::memcpy(&item, value.data(), sizeof(item));
    const BlockRange range{{key.offset()}, {item.block_count}};
    if (range.count.value == 0 || range.first.value >= blocks_end ||
        range.count.value > blocks_end - range.first.value)
        return Errc::corrupt;
    return range;
}

// The last pin that begins at or before `upto`, if any.
Result<std::optional<BlockRange>> pin_before(const btree::Tree &tree, InodeNumber inode,
                                             PinTable::Transaction *tx, FileBlock upto) {
    btree::Item item;
    DAXPIN_TRY_ASSIGN(const bool found, tree.previous(tx, key_of(inode, upto.value), item));
    if (!found || !item.key.is(inode, ItemType::pin))
        return std::optional<BlockRange>{};
    DAXPIN_TRY_ASSIGN(const BlockRange range, decode(item.key, item.value()));
    return std::optional{range};
}

Result<void> insert(btree::Tree &tree, InodeNumber inode, PinTable::Transaction &tx,
                    BlockRange range) {
    const format::PinItem item{range.count.value};
    return tree.insert(tx, key_of(inode, range.first.value), btree::bytes_of(item));
}

} // namespace

Result<std::vector<BlockRange>> PinTable::list(Transaction *tx) const {
    std::vector<BlockRange> pins;
    Result<void> bad;
    const auto visit = [&](Key key, std::span<const std::byte> value) {
        auto range = decode(key, value);
        if (range && !pins.empty() && range->first <= pins.back().end())
            range = Errc::corrupt;
        if (!range) {
            bad = range.code();
            return false;
        }
        pins.push_back(*range);
        return true;
    };
    DAXPIN_TRY(tree_.scan(tx, key_of(inode_, 0), key_of(inode_, blocks_end), visit));
    DAXPIN_TRY(std::move(bad));
    return pins;
}

Result<bool> PinTable::overlaps(Transaction *tx, BlockRange range) const {
    DAXPIN_ASSERT(range.count.value > 0);
    DAXPIN_TRY_ASSIGN(const auto pin, pin_before(tree_, inode_, tx, {range.end().value - 1}));
    return pin && pin->overlaps(range);
}

Result<bool> PinTable::covers(Transaction *tx, BlockRange range) const {
    // Pins that touch are merged, so one that covers the range does it alone.
    DAXPIN_TRY_ASSIGN(const auto pin, pin_before(tree_, inode_, tx, range.first));
    return pin && pin->first <= range.first && range.end() <= pin->end();
}

Result<void> PinTable::add(Transaction &tx, BlockRange range) {
    DAXPIN_ASSERT(range.count.value > 0 && range.end().value <= blocks_end);
    FileBlock first = range.first;
    FileBlock end = range.end();
    for (;;) {
        DAXPIN_TRY_ASSIGN(const auto pin, pin_before(tree_, inode_, &tx, end));
        if (!pin || pin->end() < first)
            break;
        if (pin->first <= first && end <= pin->end())
            return {};
        DAXPIN_TRY(tree_.erase(tx, key_of(inode_, pin->first.value)));
        first = std::min(first, pin->first);
        end = std::max(end, pin->end());
    }
    return insert(tree_, inode_, tx, {first, end - first});
}

Result<void> PinTable::remove(Transaction &tx, BlockRange range) {
    DAXPIN_ASSERT(range.count.value > 0);
    for (;;) {
        DAXPIN_TRY_ASSIGN(const auto pin, pin_before(tree_, inode_, &tx, {range.end().value - 1}));
        if (!pin || !pin->overlaps(range))
            return {};
        DAXPIN_TRY(tree_.erase(tx, key_of(inode_, pin->first.value)));
        if (range.end() < pin->end())
            DAXPIN_TRY(insert(tree_, inode_, tx, {range.end(), pin->end() - range.end()}));
        if (pin->first < range.first)
            DAXPIN_TRY(insert(tree_, inode_, tx, {pin->first, range.first - pin->first}));
    }
}

} // namespace daxpin::immutable
