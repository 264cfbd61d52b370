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
    if (inode_ && !is(S_IFREG))
        error(Subject::extent, "has extents but is not a regular file");
    format::ExtentItem extent{};
    if (!load(item, extent) || extent.block_count == 0 ||
        (extent.flags & ~format::extent_flag_unwritten) != 0)
        return error(Subject::extent, name + " has impossible fields");
    const std::uint64_t end = first + extent.block_count;
    if (end > file_blocks_max)
        error(Subject::extent, name + " ends beyond the greatest size");
    if (first < extent_end_)
        error(Subject::extent, name + " overlaps the one before");
    extent_end_ = std::max(extent_end_, end);
    extent_blocks_ += extent.block_count;
    extent_media({MediaBlock{extent.media_block}, {extent.block_count}});
    if ((extent.flags & format::extent_flag_unwritten) != 0)
        return;
    if (!written_.empty() && written_.back().end == first)
        written_.back().end = end;
    else
        written_.push_back({first, end});
}

void InodeCheck::extent_media(MediaRun run) {
    if (!pass_.owners.contains(run))
        return error(Subject::ownership, to_string(run) + " is not on a device of the volume");
    const std::uint32_t role = pass_.view.superblock().devices[run.start.device()].role;
    if (role == static_cast<std::uint32_t>(format::Role::metadata))
        error(Subject::role, to_string(run) + " holds data on a metadata device");
    pass_.claim_data(run, "inode " + std::to_string(number_));
}

void InodeCheck::pin(const reader::Item &item) {
    const std::uint64_t first = item.key.offset();
    const std::string name = at_block("pin", first);
    format::PinItem pin{};
    if (!load(item, pin) || pin.block_count == 0 || pin.block_count > file_blocks_max ||
        first > file_blocks_max)
        return error(Subject::pin, name + " has impossible fields");
    if (inode_ && !is(S_IFREG))
        error(Subject::pin, "pinned but not a regular file");
    if (!pins_.empty() && first <= pins_.back().end)
        error(Subject::pin, name + " touches or overlaps the one before");
    pins_.push_back({first, first + pin.block_count});
}

void InodeCheck::finish_file() {
    if (inode_->block_count != extent_blocks_)
        error(Subject::extent, "block count " + std::to_string(inode_->block_count) +
                                   ", blocks of its extents " + std::to_string(extent_blocks_));
}

void InodeCheck::finish_pins() {
    for (const auto &pin : pins_) {
        const auto after = std::ranges::upper_bound(written_, pin.first, {}, &BlockRange::first);
        if (after == written_.begin() || std::prev(after)->end < pin.end)
            error(Subject::pin, at_block("pin", pin.first) + " covers holes or unwritten blocks");
    }
    if (!pins_.empty() && inode_->link_count == 0)
        error(Subject::pin, "pinned but without a name");
    if ((inode_->flags & format::inode_flag_pinned_whole) == 0)
        return;
    const std::uint64_t blocks =
        inode_->size / block_size + (inode_->size % block_size != 0 ? 1 : 0);
    if (pins_.empty() || pins_.front().first != 0 || pins_.front().end < blocks)
        error(Subject::pin, "marked as wholly pinned, but its pins do not cover it");
}

} // namespace daxpin::fsck
