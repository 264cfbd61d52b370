// SPDX-License-Identifier: BSD-3-Clause
//
// InodeTable: attributes of inodes in the tree, by number.
//
// Stateless over the tree but for the next free number, found at open. Numbers are never reused
// within a mount; a number used again after a mount gets a new generation. The caller holds the
// inode's lock. Layout: docs/format.md, "Inode item".
#pragma once

#include "base/env.h"
#include "base/sync.h"
#include "btree/tree.h"

#include <array>
#include <atomic>

namespace daxpin::inode {

// The attributes of one inode, in host form. Times in ns since 1970, signed.
struct Attributes {
    InodeNumber number;
    std::uint64_t generation = 0;
    std::uint32_t mode = 0; // with the type, as st_mode
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t link_count = 0;
    std::uint64_t size = 0; // bytes; directories: entries
    std::uint64_t block_count = 0;
    std::int64_t atime_ns = 0;
    std::int64_t mtime_ns = 0;
    std::int64_t ctime_ns = 0;
    std::int64_t btime_ns = 0;
    std::uint32_t rdev = 0;
    std::uint32_t flags = 0; // format::inode_flag_*
    InodeNumber parent;      // directories only
    std::uint64_t align_hint = 0;
    BootId lease_boot{};

    bool is_directory() const { return (mode & 0170000) == 0040000; }
    bool is_regular() const { return (mode & 0170000) == 0100000; }
    bool is_symlink() const { return (mode & 0170000) == 0120000; }
};

class InodeTable {
  public:
    using Transaction = btree::Tree::Transaction;

    // Finds the highest number in use. If damage hides it no inode can be made: see damage().
    static Result<std::unique_ptr<InodeTable>> open(btree::Tree &tree, Env &env);

    // A number nobody has, near those of others made in the directory `parent` and, mostly, far
    // from those made elsewhere, so that threads with directories of their own do not meet in
    // leaves of the tree; and a generation nobody can guess.
    struct Identity {
        InodeNumber number;
        std::uint64_t generation;
    };
    // ERRORS: corrupt if the numbers in use are not known; no_space if all are.
    Result<Identity> new_identity(InodeNumber parent);
    // What open() met, or null.
    const Error *damage() const { return damage_ ? &*damage_ : nullptr; }

    // ERRORS: stale if there is no such inode; corrupt if its fields are impossible.
    Result<Attributes> load(Transaction *tx, InodeNumber number) const;
    // The same for a caller who changes it in the end.
    Result<Attributes> load_to_change(Transaction &tx, InodeNumber number) const;
    Result<void> store(Transaction &tx, const Attributes &attributes); // inserts or overwrites
    Result<void> erase(Transaction &tx, InodeNumber number);

  private:
    // Numbers to give: what was left of a run (btree/tree.h) when it was taken from next_.
    struct alignas(64) Run {
        Mutex mutex;
        std::uint64_t next GUARDED_BY(mutex) = 0;
        std::uint64_t end GUARDED_BY(mutex) = 0;
    };

    InodeTable(btree::Tree &tree, Env &env, std::uint64_t next, std::optional<Error> damage);
    btree::Tree &tree_;
    HashKey generation_key_; // of this mount, as a number may be given again in a later one
    std::atomic<std::uint64_t> next_;
    std::array<Run, 64> runs_; // by the directory
    std::optional<Error> damage_;
};

} // namespace daxpin::inode
