// SPDX-License-Identifier: BSD-3-Clause
//
// BadBlockTable: the persistent list of blocks that cannot be read, by address. It owns the
// blocks that nobody else does: their bits are set, so that they are never handed out.
// Layout: docs/format.md, "Bad block". The DRAM side is device/bad_blocks.h.
#pragma once

#include "btree/tree.h"
#include "device/bad_blocks.h"

#include <vector>

namespace daxpin::inode {

class BadBlockTable {
  public:
    using Transaction = btree::Tree::Transaction;
    explicit BadBlockTable(btree::Tree &tree) : tree_(tree) {}

    Result<void> put(Transaction &tx, const device::BadBlock &bad); // inserts or replaces
    Result<void> erase(Transaction &tx, MediaBlock block);
    // All of it. ERRORS: io, corrupt.
    Result<std::vector<device::BadBlock>> list() const;

  private:
    btree::Tree &tree_;
};

} // namespace daxpin::inode
