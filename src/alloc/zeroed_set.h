// SPDX-License-Identifier: BSD-3-Clause
//
// ZeroedSet: runs of free blocks that are known to hold zeros, durably.
//
// In DRAM only: nothing is known after a restart. Runs do not touch each other. Not thread-safe:
// Allocator's mutex guards it. Every call takes time by the logarithm of the number of runs.
#pragma once

#include "base/types.h"

#include <map>
#include <optional>
#include <set>
#include <utility>

namespace daxpin::alloc {

class ZeroedSet {
  public:
    bool empty() const { return runs_.empty(); }
    std::size_t run_count() const { return runs_.size(); }
    BlockCount blocks() const { return blocks_; }

    // REQUIRES: none of its blocks is in the set. Without memory it is not added, and runs that
    // it touches may go.
    void add(MediaRun run);
    // Takes out what of `run` is in the set. Without memory more goes than that, never less.
    void remove(MediaRun run);

    // The run that holds `block`, or else the first one behind it.
    std::optional<MediaRun> at_or_after(MediaBlock block) const;
    // The shortest run of at least `count` blocks; the longest one, if it is at least as long.
    std::optional<MediaRun> shortest(BlockCount count) const;
    std::optional<MediaRun> longest(BlockCount count) const;

  private:
    using Runs = std::map<MediaBlock, BlockCount>;
    void insert(MediaRun run);
    void erase(Runs::iterator run);

    Runs runs_;
    std::set<std::pair<BlockCount, MediaBlock>> by_length_; // the same runs
    BlockCount blocks_;
};

} // namespace daxpin::alloc
