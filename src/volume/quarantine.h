// SPDX-License-Identifier: BSD-3-Clause
//
// Where blocks go that leave a file: to the allocator, or into quarantine while a program may
// still map them (docs/pinning.md, "Safety of blocks").
#pragma once

#include "volume/impl.h"

namespace daxpin::volume {

// Frees what one transaction takes out of a file's map. Blocks under a lease go into quarantine
// until it ends; those that may be under leases of an earlier daemon of this boot until it is
// proven that nobody maps them, or until the next boot.
// REQUIRES: begin_change() held, inode locked exclusively or unused.
class Freeing {
  public:
    // `inode` may be null: nobody has the file open.
    explicit Freeing(Engine &engine, CachedInode *inode = nullptr)
        : engine_(engine), inode_(inode) {}

    void restart() { kept_.clear(); } // at the beginning of the transaction's body
    // Takes the blocks off attributes.block_count, too; listed bad blocks go over to their list.
    Result<void> free(Transaction &tx, Attributes &attributes, const extent_map::Extent &extent);
    // After the commit: the leases know what they keep.
    void committed();

  private:
    Engine &engine_;
    CachedInode *inode_;
    std::vector<std::pair<MediaRun, immutable::BlockRange>> kept_;
};

// Leases of the inode ended: what they alone kept is returned by the next return_quarantine().
// REQUIRES: inode locked exclusively.
void give_up_kept(Engine &engine, CachedInode &inode);

} // namespace daxpin::volume
