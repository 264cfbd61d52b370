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
        const auto clear = static_cast<std::uint16_t>(std::popcount(~words_[i]));
        unit_free_[i * word_bits / unit_blocks] =
            static_cast<std::uint16_t>(unit_free_[i * word_bits / unit_blocks] + clear);
        free_ += clear;
    }
    free_units_ = static_cast<std::uint32_t>(std::ranges::count(unit_free_, unit_blocks));
}

std::uint32_t Group::next(State wanted, std::uint32_t from, std::uint32_t end) const {
    while (from < end) {
        const auto word =
            wanted == State::busy ? words_[from / word_bits] : ~words_[from / word_bits];
        if (const auto rest = word >> from % word_bits; rest != 0)
            return std::min(end, from + static_cast<std::uint32_t>(std::countr_zero(rest)));
        from += word_bits - from % word_bits;
    }
    return end;
}

std::uint32_t Group::free_length(std::uint32_t start, std::uint32_t limit) const {
    const auto end = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(std::uint64_t{start} + limit, format::blocks_per_group));
    return next(State::busy, start, end) - start;
}

bool Group::is_free(GroupRun run) const {
    return free_length(run.start, run.count) == run.count;
}

std::optional<GroupRun> Group::find_in_unit(std::uint32_t unit, std::uint32_t wanted) {
    std::optional<GroupRun> longest;
    const auto end = (unit + 1) * unit_blocks;
    for (auto at = next(State::free, unit * unit_blocks, end); at < end;) {
        const GroupRun run{at, free_length(at, std::min(wanted, end - at))};
        if (run.count == wanted)
            return run;
        if (!longest || run.count > longest->count)
            longest = run;
        at = next(State::free, at + run.count, end);
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
    return next(State::free, from, format::blocks_per_group);
}

void Group::change(GroupRun run, State to) {
    for_each_word(run.start, run.start + run.count, [&](std::size_t index, std::uint64_t mask) {
        DAXPIN_ASSERT((words_[index] & mask) == (to == State::busy ? 0 : mask));
        words_[index] ^= mask;
        const auto unit = index * word_bits / unit_blocks;
        const auto count = std::popcount(mask);
        free_units_ -= unit_free_[unit] == unit_blocks ? 1 : 0;
        unit_free_[unit] =
            static_cast<std::uint16_t>(unit_free_[unit] + (to == State::busy ? -count : count));
        free_units_ += unit_free_[unit] == unit_blocks ? 1 : 0;
        if (to == State::free)
            longest_[unit] = unit_blocks;
    });
    free_ = to == State::busy ? free_ - run.count : free_ + run.count;
}

void Group::take(GroupRun run) {
    change(run, State::busy);
}

void Group::give(GroupRun run) {
    change(run, State::free);
}

} // namespace daxpin::alloc
