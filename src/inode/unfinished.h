// SPDX-License-Identifier: BSD-3-Clause
//
// UnfinishedTable: work that outlives its transaction: files without a name that wait to be
// freed, truncations of large files on their way. At most one entry an inode; removal replaces
// truncation. Entries are home objects: they hold no ring space and survive unmount.
// Layout: docs/format.md, "Unfinished work".
#pragma once

#include "btree/tree.h"

#include <optional>
#include <vector>

namespace daxpin::inode {

struct Unfinished {
    InodeNumber inode;
    std::uint64_t generation = 0;
    format::UnfinishedKind kind{};
    FileBlock from; // truncate: first block to free
};

class UnfinishedTable {
  public:
    using Transaction = btree::Tree::Transaction;
    explicit UnfinishedTable(btree::Tree &tree) : tree_(tree) {}

    Result<void> put(Transaction &tx, const Unfinished &work); // inserts or replaces
    Result<void> erase(Transaction &tx, InodeNumber inode);
    Result<std::optional<Unfinished>> find(Transaction *tx, InodeNumber inode) const;
    // At most `limit` entries with inode numbers >= from.
    Result<std::vector<Unfinished>> list(InodeNumber from, std::size_t limit) const;

  private:
    btree::Tree &tree_;
};

} // namespace daxpin::inode
