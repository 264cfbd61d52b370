// SPDX-License-Identifier: BSD-3-Clause
//
// ExtentMap: maps the blocks of one file to blocks on media.
//
// A view on the tree's extent items of one inode; holds no state. Every change goes through the
// Transaction passed in, so a crash leaves all or none of it. Knows nothing of pins. Blocks that a
// change frees are returned, never given to the allocator here: volume/ decides their fate.
// Not thread-safe: the caller holds the inode's lock (shared to read, exclusive to change).
// Record layout: docs/format.md, "Extent item".
#pragma once

#include "btree/tree.h"

#include <optional>
#include <vector>

namespace daxpin::extent_map {

struct Extent {
    FileBlock first;
    MediaBlock start;
    BlockCount count;
    bool unwritten = false; // allocated, reads as zeros
    FileBlock end() const { return first + count; }
    bool operator==(const Extent &) const = default;
};

class ExtentMap {
  public:
    using Transaction = btree::Tree::Transaction;

    ExtentMap(btree::Tree &tree, InodeNumber inode) : tree_(tree), inode_(inode) {}

    // The extent that holds `block`, or the first one after it; nothing if there is none.
    // ERRORS: corrupt for an item with impossible fields (checked against the device table).
    Result<std::optional<Extent>> at_or_after(Transaction *tx, FileBlock block) const;

    // The last extent of the file.
    Result<std::optional<Extent>> last(Transaction *tx) const;

    // The extents that overlap [first, first + count), clipped to it, in order, at most `limit`.
    Result<std::vector<Extent>> range(Transaction *tx, FileBlock first, BlockCount count,
                                      std::size_t limit = SIZE_MAX) const;

    // Adds an extent over a hole; merged with a neighbour that continues it on media with the
    // same flag. REQUIRES: the range is a hole, on one device, of less than 2^32 blocks.
    // ERRORS: corrupt if it is no hole; no_space.
    Result<void> insert(Transaction &tx, const Extent &extent);

    // Removes [first, first + count) and returns what was there; holes are skipped. Stops
    // after `items_max` extent items (for steps): `next` is where to go on, or the range's end.
    struct Removed {
        std::vector<Extent> extents;
        FileBlock next;
    };
    Result<Removed> remove(Transaction &tx, FileBlock first, BlockCount count,
                           std::size_t items_max = SIZE_MAX);

    // Clears the unwritten flag over the range (its blocks now hold data).
    // ERRORS: corrupt if there is a hole in it; no_space if splitting an extent needs a block.
    Result<void> mark_written(Transaction &tx, FileBlock first, BlockCount count);

    // Sets the unwritten flag over the allocated parts of the range.
    Result<void> mark_unwritten(Transaction &tx, FileBlock first, BlockCount count);

  private:
    // The extent item with the greatest key <= block, the one with the smallest key >= block.
    Result<std::optional<Extent>> read_at_or_before(Transaction *tx, FileBlock block) const;
    Result<std::optional<Extent>> read_at_or_behind(Transaction *tx, FileBlock block) const;
    // Whole extents that overlap [first, end), in order, at most `limit`.
    Result<std::vector<Extent>> overlapping(Transaction *tx, FileBlock first, FileBlock end,
                                            std::size_t limit) const;
    // Replaces the items `old` by the items `wanted`.
    Result<void> rewrite(Transaction &tx, const std::vector<Extent> &old,
                         const std::vector<Extent> &wanted);
    Result<void> set_unwritten(Transaction &tx, FileBlock first, BlockCount count, bool unwritten);

    btree::Tree &tree_;
    InodeNumber inode_;
};

} // namespace daxpin::extent_map
