// SPDX-License-Identifier: BSD-3-Clause
#include "alloc/group.h"

#include "base/assert.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace daxpin::alloc {

Group::Group(std::span<const std::byte> bitmap) {
    DAXPIN_ASSERT(bitmap.size() == sizeof words_);
    longest_.fill(unit_blocks);
    for (std::size_t i = 0; i < words_.size(); ++i) {
        le64 word;
        std::memcpy(&word, bitmap.data() + i * sizeof word, sizeof word);
        words_[i] = word;
        const auto clear = static_cast<std::uint16_t>(64 - std::popcount(words_[i]));
        unit_free_[i * 64 / unit_blocks] =
            static_cast<std::uint16_t>(unit_free_[i * 64 / unit_blocks] + clear);
        free_ += clear;
    }
}

std::uint32_t Group::free_length(std::uint32_t start, std::uint32_t limit) const {
    const auto end = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(std::uint64_t{start} + limit, format::blocks_per_group));
    auto at = start;
    while (at < end) {
        if (at % 64 == 0 && words_[at / 64] == 0 && at + 64 <= end) {
            at += 64;
            continue;
        }
        if (busy(at))
            break;
        ++at;
    }
    return at - start;
}

bool Group::is_free(GroupRun run) const {
    return free_length(run.start, run.count) == run.count;
}

std::optional<GroupRun> Group::find_in_unit(std::uint32_t unit, std::uint32_t wanted) {
    std::optional<GroupRun> longest;
    const auto end = (unit + 1) * unit_blocks;
    for (auto at = unit * unit_blocks; at < end;) {
        if (at % 64 == 0 && words_[at / 64] == ~std::uint64_t{0}) {
            at += 64;
            continue;
        }
        if (busy(at)) {
            ++at;
            continue;
        }
        const GroupRun run{at, free_length(at, std::min(wanted, end - at))};
        if (run.count == wanted)
            return run;
        if (!longest || run.count > longest->count)
            longest = run;
        at += run.count;
    }
    longest_[unit] = static_cast<std::uint16_t>(longest ? longest->count : 0);
    return longest;
}

std::optional<GroupRun> Group::find_hole(std::uint32_t wanted) {
    std::optional<GroupRun> longest;
    for (std::uint32_t unit = 0; unit < units_per_group; ++unit) {
        if (unit_free_[unit] == 0 || unit_free_[unit] == unit_blocks ||
            (longest && std::min(unit_free_[unit], longest_[unit]) <= longest->count))
            continue;
        const auto run = find_in_unit(unit, wanted);
        if (run && run->count == wanted)
            return run;
        if (run && (!longest || run->count > longest->count))
            longest = run;
    }
    return longest;
}

std::optional<std::uint32_t> Group::find_free_unit(std::uint32_t from) const {
    const auto first = unit_free_.begin() + (from + unit_blocks - 1) / unit_blocks;
    const auto unit = std::find(first, unit_free_.end(), unit_blocks);
    if (unit == unit_free_.end())
        return std::nullopt;
    return static_cast<std::uint32_t>(unit - unit_free_.begin()) * unit_blocks;
}

std::uint32_t Group::next_free(std::uint32_t from) const {
    auto at = from;
    while (at < format::blocks_per_group && busy(at))
        at += at % 64 == 0 && words_[at / 64] == ~std::uint64_t{0} ? 64 : 1;
    return at;
}

void Group::change(GroupRun run, bool to_busy) {
    for (auto at = run.start; at < run.start + run.count; ++at) {
        DAXPIN_ASSERT(busy(at) != to_busy);
        words_[at / 64] ^= std::uint64_t{1} << (at % 64);
        auto &unit = unit_free_[at / unit_blocks];
        unit = static_cast<std::uint16_t>(to_busy ? unit - 1 : unit + 1);
        if (!to_busy)
            longest_[at / unit_blocks] = unit_blocks;
    }
    free_ = to_busy ? free_ - run.count : free_ + run.count;
}

void Group::take(GroupRun run) {
    change(run, true);
}

void Group::give(GroupRun run) {
    change(run, false);
}

} // namespace daxpin::alloc
