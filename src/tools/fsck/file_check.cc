// SPDX-License-Identifier: BSD-3-Clause
//
// The part of InodeCheck that looks at extents and pins.
#include "tools/fsck/inode_check.h"

#include <algorithm>
#include <cstring>
#include <sys/stat.h>

namespace daxpin::fsck {
namespace {

constexpr std::uint64_t file_blocks_max = std::uint64_t{1} << 51; // sizes end at 2^63 - 1

template <typename T> bool load(const reader::Item &item, T &out) {
    if (item.value.size() != sizeof(T))
        return false;
    std::memcpy(&out, item.value.data(), sizeof(T));
    return true;
}

std::string at_block(const char *what, std::uint64_t first) {
    return std::string(what) + " at file block " + std::to_string(first);
}

} // namespace

void InodeCheck::extent(const reader::Item &item) {
    ++pass_.report.counts.extents;
    const std::uint64_t first = item.key.offset();
    const std::string name = at_block("extent", first);
    const auto drop_extent = [&] { drop(Stage::items, Subject::extent, item.key, name); };
    if (inode_ && !is(S_IFREG)) {
        error(Subject::extent, "has extents but is not a regular file");
        drop_extent();
    }
    format::ExtentItem extent{};
    if (!load(item, extent) || extent.block_count == 0 ||
        (extent.flags & ~format::extent_flag_unwritten) != 0) {
        error(Subject::extent, name + " has impossible fields");
        return drop_extent();
    }
    const std::uint64_t end = first + extent.block_count;
    if (end > file_blocks_max) {
        error(Subject::extent, name + " ends beyond the greatest size");
        drop_extent();
    }
    cut_overlap(item.key, extent);
    extent_end_ = std::max(extent_end_, end);
    extent_blocks_ += extent.block_count;
    extent_media(item.key, {MediaBlock{extent.media_block}, {extent.block_count}});
    if ((extent.flags & format::extent_flag_unwritten) != 0)
        return;
    if (!written_.empty() && written_.back().end == first)
        written_.back().end = end;
    else
        written_.push_back({first, end});
}

// If two extents overlap, the one that begins first keeps the blocks.
void InodeCheck::cut_overlap(const reader::Key &key, const format::ExtentItem &extent) {
    const std::uint64_t first = key.offset();
    if (first >= extent_end_)
        return;
    const std::string name = at_block("extent", first);
    error(Subject::extent, name + " overlaps the one before");
    FixItems fix{{key}, {}};
    const std::uint64_t cut = extent_end_ - first;
    if (cut < extent.block_count) {
        auto rest = extent;
        rest.media_block = extent.media_block + cut;
        rest.block_count = static_cast<std::uint32_t>(extent.block_count - cut);
        fix.put.emplace_back(reader::Key{key.inode, key.place + cut}, item_bytes(rest));
    }
    pass_.findings.fix(Stage::items, Subject::extent,
                       "inode " + std::to_string(number_) + ": " + name + " cut", std::move(fix));
}

void InodeCheck::extent_media(const reader::Key &key, MediaRun run) {
    const std::string name = at_block("extent", key.offset());
    if (!pass_.owners.contains(run)) {
        error(Subject::ownership, to_string(run) + " is not on a device of the volume");
        return drop(Stage::items, Subject::ownership, key, name);
    }
    const std::uint32_t role = pass_.view.superblock().devices[run.start.device()].role;
    if (role == static_cast<std::uint32_t>(format::Role::metadata)) {
        error(Subject::role, to_string(run) + " holds data on a metadata device");
        drop(Stage::items, Subject::role, key, name);
    }
    pass_.claim_data(run, "inode " + std::to_string(number_));
}

void InodeCheck::pin(const reader::Item &item) {
    const std::uint64_t first = item.key.offset();
    const std::string name = at_block("pin", first);
    const auto drop_pin = [&] { drop(Stage::items, Subject::pin, item.key, name); };
    format::PinItem pin{};
    if (!load(item, pin) || pin.block_count == 0 || pin.block_count > file_blocks_max ||
        first > file_blocks_max) {
        error(Subject::pin, name + " has impossible fields");
        return drop_pin();
    }
    if (inode_ && !is(S_IFREG)) {
        error(Subject::pin, "pinned but not a regular file");
        drop_pin();
    }
    if (!pins_.empty() && first <= pins_.back().end) {
        error(Subject::pin, name + " touches or overlaps the one before");
        join_pins(item.key, first + pin.block_count);
    }
    pins_.push_back({first, first + pin.block_count});
}

// One pin for both: what was pinned stays so.
void InodeCheck::join_pins(const reader::Key &key, std::uint64_t end) {
    const auto &before = pins_.back();
    const reader::Key joined{key.inode, key.place - (key.offset() - before.first)};
    const format::PinItem pin{std::max(before.end, end) - before.first};
    pass_.findings.fix(Stage::items, Subject::pin,
                       "inode " + std::to_string(number_) + ": " + at_block("pin", key.offset()) +
                           " joined to the one before",
                       FixItems{{key}, {{joined, item_bytes(pin)}}});
}

void InodeCheck::finish_file() {
    if (inode_->block_count == extent_blocks_)
        return;
    error(Subject::extent, "block count " + std::to_string(inode_->block_count) +
                               ", blocks of its extents " + std::to_string(extent_blocks_));
    set(Stage::counts, Subject::extent, InodeField::block_count, extent_blocks_, "block count");
}

void InodeCheck::finish_pins() {
    const auto drop_pin = [&](std::uint64_t first) {
        constexpr auto type = std::uint64_t{static_cast<unsigned>(format::ItemType::pin)};
        drop(Stage::names, Subject::pin, {number_, type << 60 | first}, at_block("pin", first));
    };
    for (const auto &pin : pins_) {
        const auto after = std::ranges::upper_bound(written_, pin.first, {}, &BlockRange::first);
        if (after != written_.begin() && std::prev(after)->end >= pin.end)
            continue;
        error(Subject::pin, at_block("pin", pin.first) + " covers holes or unwritten blocks");
        drop_pin(pin.first);
    }
    if (!pins_.empty() && inode_->link_count == 0) {
        error(Subject::pin, "pinned but without a name");
        // Otherwise it is the link count that is wrong.
        for (const auto &pin : pins_)
            if (graph_.is_being_removed(number_))
                drop_pin(pin.first);
    }
    if ((inode_->flags & format::inode_flag_pinned_whole) == 0)
        return;
    const std::uint64_t blocks =
        inode_->size / block_size + (inode_->size % block_size != 0 ? 1 : 0);
    if (!pins_.empty() && pins_.front().first == 0 && pins_.front().end >= blocks)
        return;
    error(Subject::pin, "marked as wholly pinned, but its pins do not cover it");
    set(Stage::names, Subject::pin, InodeField::flags,
        inode_->flags & ~format::inode_flag_pinned_whole, "flags");
}

} // namespace daxpin::fsck
