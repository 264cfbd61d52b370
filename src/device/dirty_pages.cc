// SPDX-License-Identifier: BSD-3-Clause
#include "device/dirty_pages.h"

#include <algorithm>
#include <new>
#include <sys/mman.h>
#include <utility>

namespace daxpin::device {
namespace {

constexpr std::uint64_t page_bytes = 4096;

// More scattered ranges than this are written back as one that covers them all: an msync waits
// for the filesystem's journal each time, and clean pages in between cost nothing.
constexpr std::size_t msync_calls_max = 8;

// A thread that records without end (a long copy) merges now and then.
constexpr std::size_t ranges_max = 1024;

} // namespace

void DirtyPages::record(std::uint64_t offset, std::uint64_t length) noexcept {
    if (length == 0)
        return;
    const Range range{offset & ~(page_bytes - 1),
                      (offset + length + page_bytes - 1) & ~(page_bytes - 1)};
    const MutexLock lock(mutex_);
    try {
        remember(range);
    } catch (const std::bad_alloc &) { // but stored it is
        shared_ = shared_.end == 0 ? range
                                   : Range{std::min(shared_.begin, range.begin),
                                           std::max(shared_.end, range.end)};
        ++shared_version_;
    }
}

void DirtyPages::remember(Range range) {
    Ranges &mine = ranges_[std::this_thread::get_id()];
    if (!mine.empty() && mine.back().begin <= range.begin && range.begin <= mine.back().end) {
        mine.back().end = std::max(mine.back().end, range.end);
        return;
    }
    mine.push_back(range);
    if (mine.size() >= ranges_max)
        merge(mine);
}

void DirtyPages::merge(Ranges &ranges) {
    std::ranges::sort(ranges, {}, &Range::begin);
    std::size_t kept = 0;
    for (const Range &range : ranges) {
        if (kept > 0 && range.begin <= ranges[kept - 1].end)
            ranges[kept - 1].end = std::max(ranges[kept - 1].end, range.end);
        else
            ranges[kept++] = range;
    }
    if (kept > msync_calls_max) {
        ranges[0].end = ranges[kept - 1].end;
        kept = 1;
    }
    ranges.resize(kept);
}

DirtyPages::Ranges DirtyPages::take() {
    const MutexLock lock(mutex_);
    const auto mine = ranges_.find(std::this_thread::get_id());
    if (mine == ranges_.end())
        return {};
    Ranges ranges = std::move(mine->second);
    ranges_.erase(mine);
    return ranges;
}

bool DirtyPages::write_back(Range range) {
    const std::uint64_t end = std::min<std::uint64_t>(range.end, mapping_.size());
    return ::msync(mapping_.data() + range.begin, end - range.begin, MS_SYNC) == 0;
}

// Whoever drains writes it back, and nobody waits for others: it goes once somebody has done so.
bool DirtyPages::write_back_shared() {
    Range range;
    std::uint64_t version;
    {
        const MutexLock lock(mutex_);
        range = shared_;
        version = shared_version_;
    }
    if (range.end == 0)
        return true;
    if (!write_back(range))
        return false;
    const MutexLock lock(mutex_);
    if (shared_version_ == version)
        shared_ = {};
    return true;
}

Result<void> DirtyPages::drain() {
    Ranges ranges = take();
    merge(ranges);
    for (const Range &range : ranges)
        if (!write_back(range))
            failed_ = true;
    if (!write_back_shared())
        failed_ = true;
    if (failed_)
        return Errc::io;
    return {};
}

} // namespace daxpin::device
