// SPDX-License-Identifier: BSD-3-Clause
//
// Engine: the layers of the filesystem that a repair works through, opened on a volume whose
// journal a recovery accepts, and whose bitmaps mark nothing free that is in use.
#pragma once

#include "btree/tree.h"
#include "inode/inode_table.h"

namespace daxpin::repair {

class Engine {
  public:
    // Recovers the journal. ERRORS: corrupt if a recovery refuses it; io.
    static Result<Engine> open(device::DeviceTable &devices, const format::Superblock &superblock,
                               Env &env);

    // The layers above the journal; before, only that may be used. ERRORS: corrupt, io.
    Result<void> open_tree();

    // Every record is home: nothing in the ring is needed any more.
    Result<void> checkpoint() { return journal_->checkpoint(); }

    journal::Journal &journal() { return *journal_; }
    alloc::Allocator &allocator() { return *allocator_; }
    btree::Tree &tree() { return *tree_; }
    const HashKey &hash_key() const { return hash_key_; }
    Env &env() { return *env_; }
    const format::Superblock &superblock() const { return superblock_; }

    // A unit to be changed in place, whatever stands there now: what edit() alone refuses if the
    // checksum does not hold. What cannot be read is made zeros first. ERRORS: as edit(); io if it
    // cannot be.
    Result<std::byte *> edit_damaged(journal::Transaction &tx, MediaBlock unit);

    template <typename Body> auto transact(Body &&body) {
        return alloc::transact(*allocator_, alloc::Purpose::release, std::forward<Body>(body));
    }

  private:
    Engine(const format::Superblock &superblock, Env &env) : superblock_(superblock), env_(&env) {}

    format::Superblock superblock_;
    Env *env_;
    HashKey hash_key_{};
    std::unique_ptr<journal::Journal> journal_;
    std::unique_ptr<alloc::Allocator> allocator_;
    std::unique_ptr<btree::Tree> tree_;
};

} // namespace daxpin::repair
