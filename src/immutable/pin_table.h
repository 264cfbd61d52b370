// SPDX-License-Identifier: BSD-3-Clause
//
// PinTable: the pinned block ranges of one inode, on media.
//
// Ranges of a file neither touch nor overlap. That the whole file is pinned (size frozen too) is
// a flag of the inode, kept by volume/. The caller holds the inode's lock.
// Layout: docs/format.md, "Pin item".
#pragma once

#include "btree/tree.h"

#include <vector>

namespace daxpin::immutable {

struct BlockRange {
    FileBlock first;
    BlockCount count;
    FileBlock end() const { return first + count; }
    bool overlaps(BlockRange other) const { return first < other.end() && other.first < end(); }
    bool operator==(const BlockRange &) const = default;
};

class PinTable {
  public:
    using Transaction = btree::Tree::Transaction;

    PinTable(btree::Tree &tree, InodeNumber inode) : tree_(tree), inode_(inode) {}

    Result<std::vector<BlockRange>> list(Transaction *tx) const;
    Result<bool> overlaps(Transaction *tx, BlockRange range) const;
    Result<bool> covers(Transaction *tx, BlockRange range) const;

    Result<void> add(Transaction &tx, BlockRange range);    // merged with what it meets
    Result<void> remove(Transaction &tx, BlockRange range); // may cut a hole into a pin

  private:
    btree::Tree &tree_;
    InodeNumber inode_;
};

} // namespace daxpin::immutable
