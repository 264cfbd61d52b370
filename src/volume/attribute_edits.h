// SPDX-License-Identifier: BSD-3-Clause
//
// AttributeEdits: working copies of the attributes of the inodes that one transaction changes.
//
// The body of a transaction starts with restart(), changes of(inode) at will (the same inode may
// appear in several roles) and ends with store(); after the commit publish() makes the copies
// the inodes' state. The inodes are locked exclusively all the time.
#pragma once

#include "inode/unfinished.h"
#include "volume/inode_cache.h"

namespace daxpin::volume {

class AttributeEdits {
  public:
    void restart() { count_ = 0; }

    Attributes &of(CachedInode &inode);
    // An inode whose link count falls to 0 is added to the table of unfinished work; one that gets
    // its first link is taken off it. That comes last, so that all transactions take the leaves of
    // inodes before that table's.
    Result<void> store(inode::InodeTable &table, inode::UnfinishedTable &unfinished,
                       alloc::Transaction &tx) const;
    void publish() const;

  private:
    static constexpr std::size_t count_max = 4;
    struct Edit {
        CachedInode *inode;
        Attributes attributes;
    };
    std::array<Edit, count_max> edits_{};
    std::size_t count_ = 0;
};

} // namespace daxpin::volume
