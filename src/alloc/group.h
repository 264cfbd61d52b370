// SPDX-License-Identifier: BSD-3-Clause
//
// Group: what DRAM knows of the blocks under one bitmap chunk.
//
// A block is `busy` if its bit on media is set, if it is promised to a transaction, or if it was
// freed and must not be reused yet. Not thread-safe: Allocator's mutex guards it.
#pragma once

#include "base/bits.h"
#include "format/layout.h"

#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace daxpin::alloc {

inline constexpr std::uint32_t unit_blocks = 512; // 2 MiB: the mapping unit free space is kept in
inline constexpr std::uint32_t units_per_group = format::blocks_per_group / unit_blocks;
static_assert(units_per_group * unit_blocks == format::blocks_per_group);

struct GroupRun { // block numbers within the group
    std::uint32_t start = 0;
    std::uint32_t count = 0;
};

class Group {
  public:
    // From a bitmap of blocks_per_group bits.
    explicit Group(std::span<const std::byte> bitmap);

    std::uint32_t free_count() const { return free_; }
    std::uint32_t free_units() const { return free_units_; } // that are free as a whole
    std::uint32_t free_in_unit(std::uint32_t unit) const { return unit_free_[unit]; }

    bool is_free(GroupRun run) const;
    // Free blocks from `start` on, at most `limit`.
    std::uint32_t free_length(std::uint32_t start, std::uint32_t limit) const;

    // The first free run of `wanted` blocks inside partly used units, else the longest there;
    // nothing if those units have no free block.
    std::optional<GroupRun> find_hole(std::uint32_t wanted);
    // The start of the first wholly free unit at or behind block `from`.
    std::optional<std::uint32_t> find_free_unit(std::uint32_t from = 0) const;
    // The first free block at or behind `from`; blocks_per_group if there is none.
    std::uint32_t next_free(std::uint32_t from) const;

    void take(GroupRun run); // REQUIRES: is_free(run)
    void give(GroupRun run); // REQUIRES: all of it busy

  private:
    enum class State { free, busy };
    // The first block of [from, end) in that state; `end` if there is none.
    std::uint32_t next(State wanted, std::uint32_t from, std::uint32_t end) const;
    std::optional<GroupRun> find_in_unit(std::uint32_t unit, std::uint32_t wanted);
    void change(GroupRun run, State to);

    std::array<std::uint64_t, format::blocks_per_group / word_bits> words_{}; // set bits are busy
    std::array<std::uint16_t, units_per_group> unit_free_{};
    // No free run of the unit is longer: what the last search found, or as long as may be.
    std::array<std::uint16_t, units_per_group> longest_{};
    std::uint32_t free_ = 0;
    std::uint32_t free_units_ = 0;
};

} // namespace daxpin::alloc
