// SPDX-License-Identifier: BSD-3-Clause
//
// Bad blocks (device/bad_blocks.h) as the volume sees them: none is read and none is written in
// part, for what it holds is lost even if the medium answers again; a write that covers a block
// whole makes it good. They are listed on the medium in the background, and a listed one that no
// file owns is given to nobody.
#pragma once

#include "alloc/transaction.h"
#include "base/sync.h"
#include "device/bad_blocks.h"
#include "extent_map/extent_map.h"
#include "volume/inode_cache.h"
#include "volume/types.h"

#include <atomic>
#include <span>
#include <vector>

namespace daxpin::volume {

class Engine;

// Thread-safe.
class BadBlockList {
  public:
    explicit BadBlockList(Engine &engine) : engine_(engine) {}
    BadBlockList(const BadBlockList &) = delete;
    BadBlockList &operator=(const BadBlockList &) = delete;

    // Reads the list and asks the devices for theirs. Once, before all else.
    void load();
    void note_lost_pages(); // see Volume
    // Makes what was noted persistent, then tries to make usable what nobody owns, once a mount.
    // True if something was done.
    Result<bool> step();
    // Blocks that cannot be read, with what they hit: `owners` walks the tree.
    std::vector<BadBlockInfo> show(bool owners);

    // ---- for operations on file data, which hold the inode's lock exclusively ----
    // ERRORS: io if a block of [offset, offset + length) of the file is bad; they lie in `extent`.
    // A shared inode lock will do.
    Result<void> check(const extent_map::Extent &extent, std::uint64_t offset,
                       std::uint64_t length) const;
    // Rewrites the bad blocks of `extent` that bytes [offset, end) of the file cover whole (or up
    // to the end of the file), and any that are unwritten, and takes them off the list, durably.
    // `data` are these bytes; none means zeros. A block that stays bad is left: storing into it
    // will fail. REQUIRES: begin_change() held, no transaction.
    Result<void> rewrite(const CachedInode &inode, const extent_map::Extent &extent,
                         std::uint64_t offset, std::uint64_t end, std::span<const std::byte> data);
    // The same for all extents of the range, with zeros.
    Result<void> rewrite(const CachedInode &inode, std::uint64_t offset, std::uint64_t end);
    // A file lets go of a bad block. True if the block is listed: then it is the list's, and must
    // not be freed.
    Result<bool> disown(alloc::Transaction &tx, MediaBlock block);
    // Runs `operation`, again whenever it failed at a block that was not known to be bad before.
    template <typename Operation> auto around(Operation operation) const {
        for (;;) {
            const std::uint64_t known = version();
            auto result = operation();
            if (result || result.code() != Errc::io || !is_worth_another_try(known))
                return result;
        }
    }

  private:
    using Transaction = alloc::Transaction;
    std::uint64_t version() const;
    bool is_worth_another_try(std::uint64_t known) const;
    // Puts the block on the list. False if it is in somebody's hands just now.
    Result<bool> enter(device::BadBlock known) REQUIRES(mutex_);
    Result<void> enter_all() REQUIRES(mutex_);
    Result<void> reclaim(MediaBlock block) REQUIRES(mutex_);

    Engine &engine_;
    std::atomic<std::uint64_t> lost_pages_seen_{0}; // of lost_pages_told()
    // The list changes under this lock; taken under inode locks, before a transaction.
    Mutex mutex_;
    std::uint64_t seen_ GUARDED_BY(mutex_) = 0;              // version that was made persistent
    std::vector<MediaBlock> reclaimable_ GUARDED_BY(mutex_); // not tried in this mount
};

} // namespace daxpin::volume
