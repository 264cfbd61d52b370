// SPDX-License-Identifier: BSD-3-Clause
#include "alloc/zeroed_set.h"

#include "base/assert.h"

#include <algorithm>

namespace daxpin::alloc {

namespace {

MediaBlock end_of(MediaRun run) {
    return run.start + run.count;
}

MediaRun between(MediaBlock start, MediaBlock end) {
    return {start, BlockCount{end > start ? end.value - start.value : 0}};
}

} // namespace

void ZeroedSet::insert(MediaRun run) {
    if (run.count.value == 0)
        return;
    const auto [length, fresh] = by_length_.emplace(run.count, run.start);
    DAXPIN_ASSERT(fresh);
    try {
        runs_.emplace(run.start, run.count);
    } catch (...) {
        by_length_.erase(length);
        throw;
    }
    blocks_ += run.count;
}

void ZeroedSet::erase(Runs::iterator run) {
    by_length_.erase({run->second, run->first});
    blocks_ -= run->second;
    runs_.erase(run);
}

void ZeroedSet::add(MediaRun run) {
    MediaBlock start = run.start;
    MediaBlock end = end_of(run);
    const auto next = runs_.lower_bound(run.start);
    DAXPIN_ASSERT(next == runs_.end() || next->first >= end);
    if (next != runs_.begin()) {
        const auto before = std::prev(next);
        const MediaBlock before_end = before->first + before->second;
        DAXPIN_ASSERT(before_end <= run.start);
        if (before_end == run.start) {
            start = before->first;
            erase(before);
        }
    }
    if (next != runs_.end() && next->first == end) {
        end = next->first + next->second;
        erase(next);
    }
    insert(between(start, end));
}

void ZeroedSet::remove(MediaRun run) {
    const MediaBlock end = end_of(run);
    for (auto known = at_or_after(run.start); known && known->start < end;
         known = at_or_after(run.start)) {
        erase(runs_.find(known->start));
        insert(between(known->start, run.start));
        insert(between(end, end_of(*known)));
    }
}

std::optional<MediaRun> ZeroedSet::at_or_after(MediaBlock block) const {
    const auto next = runs_.upper_bound(block);
    if (next != runs_.begin()) {
        const auto before = std::prev(next);
        if (block < before->first + before->second)
            return MediaRun{before->first, before->second};
    }
    if (next == runs_.end())
        return std::nullopt;
    return MediaRun{next->first, next->second};
}

std::optional<MediaRun> ZeroedSet::shortest(BlockCount count) const {
    const auto found = by_length_.lower_bound({count, MediaBlock{}});
    if (found == by_length_.end())
        return std::nullopt;
    return MediaRun{found->second, found->first};
}

std::optional<MediaRun> ZeroedSet::longest(BlockCount count) const {
    if (by_length_.empty() || by_length_.rbegin()->first < count)
        return std::nullopt;
    return MediaRun{by_length_.rbegin()->second, by_length_.rbegin()->first};
}

} // namespace daxpin::alloc
