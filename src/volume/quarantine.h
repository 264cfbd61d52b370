// SPDX-License-Identifier: BSD-3-Clause
//
// Where blocks go that leave a file: to the allocator, or into quarantine while a program may
// still map them (docs/pinning.md, "Safety of blocks"). They enter it in the transaction that takes
// them out of their file, and leave it in one of their own: when the last lease over them has
// ended, when it is proven that nobody maps them, or in the next boot.
#pragma once

#include "alloc/transaction.h"
#include "base/sync.h"
#include "extent_map/extent_map.h"
#include "immutable/quarantine_table.h"
#include "inode/inode_table.h"
#include "volume/inode_cache.h"
#include "volume/types.h"

#include <atomic>
#include <map>
#include <optional>
#include <span>
#include <unordered_set>
#include <utility>
#include <vector>

namespace daxpin::volume {

class Engine;

// Thread-safe.
class Quarantine {
  public:
    explicit Quarantine(Engine &engine) : engine_(engine) {}
    Quarantine(const Quarantine &) = delete;
    Quarantine &operator=(const Quarantine &) = delete;

    // ---- what earlier daemons of this boot left mapped ----
    // The smallest part of the inode's blocks `run` that holds all of it that may still be mapped
    // under a lease of an earlier daemon in this boot. REQUIRES: inode locked or unused.
    std::optional<MediaRun> mapped_before(const inode::Attributes &attributes, MediaRun run) const;
    // A lease is granted in this mount on an inode that was not so marked.
    void note_leased_here(InodeNumber number);
    void forget_leased_here(std::span<const InodeNumber> removed);
    // Whether anything is kept that only a proof or another boot lets go; see Volume.
    bool awaits_proof() const { return awaits_proof_.load(); }
    void note_unproven() { awaits_proof_.store(true); }
    void prove_absence(std::vector<MediaRun> mapped);

    // ---- the way out ----
    // Leases of the inode ended: what they alone kept may go. REQUIRES: inode locked exclusively.
    void give_up_kept(CachedInode &inode);
    // Returns a part of that to the allocator; the rest is step()'s. REQUIRES: no lock held.
    void return_given_up();
    // One transaction's worth of whatever may go. True if there is more.
    Result<bool> step();
    Result<void> forget_leases(InodeNumber number); // see Volume

    Result<QuarantinePage> show(MediaBlock from, std::size_t limit);

  private:
    using Transaction = alloc::Transaction;
    // A run on its way out, and how much of it goes in this step.
    struct Return {
        MediaRun run;
        BlockCount now;
        MediaRun rest() const { return {run.start + now, run.count - now}; }
    };
    bool is_mapped(MediaRun run) const;
    Result<bool> may_return(const immutable::Quarantined &entry);
    Result<void> sweep() REQUIRES(step_mutex_);
    void queue_returns(const std::vector<MediaRun> &runs);
    std::vector<Return> take_returns();
    Result<void> return_run(Transaction &tx, const Return &what);
    Result<bool> return_some() REQUIRES(step_mutex_);
    Result<bool> locked_step() REQUIRES(step_mutex_);

    Engine &engine_;
    Mutex step_mutex_; // one step at a time
    // Where to look on for entries that may go: once a mount, and whenever something was proven.
    std::optional<MediaBlock> sweep_from_ GUARDED_BY(step_mutex_) = MediaBlock{};
    std::atomic<bool> sweep_again_{false};
    std::atomic<bool> awaits_proof_{true};
    mutable Mutex mapped_mutex_; // a leaf
    std::unordered_set<InodeNumber> leased_here_ GUARDED_BY(mapped_mutex_);
    // What may be mapped under leases of earlier daemons: everything, until that is looked into.
    std::optional<std::vector<MediaRun>> mapped_ GUARDED_BY(mapped_mutex_);
    Mutex returns_mutex_; // a leaf
    std::map<MediaBlock, BlockCount> returns_ GUARDED_BY(returns_mutex_);
};

// Frees what one transaction takes out of a file's map. Blocks under a lease go into quarantine
// until it ends; those that may be under leases of an earlier daemon of this boot until it is
// proven that nobody maps them, or until the next boot.
// REQUIRES: begin_change() held, inode locked exclusively or unused.
class Freeing {
  public:
    // `inode` may be null: nobody has the file open.
    explicit Freeing(Engine &engine, CachedInode *inode = nullptr)
        : engine_(engine), inode_(inode) {}

    void restart(); // at the beginning of the transaction's body
    // Takes the blocks off attributes.block_count, too; listed bad blocks go over to their list.
    Result<void> free(alloc::Transaction &tx, inode::Attributes &attributes,
                      const extent_map::Extent &extent);
    // After the commit: the leases know what they keep, and whoever looks for proof finds the rest.
    void committed();

  private:
    Engine &engine_;
    CachedInode *inode_;
    std::vector<std::pair<MediaRun, immutable::BlockRange>> kept_;
    bool unproven_ = false; // something may be under a lease of an earlier daemon
};

} // namespace daxpin::volume
