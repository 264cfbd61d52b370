// SPDX-License-Identifier: BSD-3-Clause
//
// Engine: what all operations of a volume share: the layers below, the inode cache, helpers.
// Private to volume/. Volume's member functions are spread over the folder's files by subject
// and work on `*impl_`, which is an Engine.
//
//   volume.cc       open, close, read-only, statistics     names.cc, create.cc, remove.cc,
//   background.cc   checkpoints, unfinished work            rename.cc, list.cc   names
//   removals.cc     files without a name
//   damage.cc       what damage leads to
//   attributes.cc   attributes, flags                       file_*.cc   open files and their data
//   xattrs.cc       extended attributes                     pin_*.cc    pins and leases
//                                                           quarantine.cc   their freed blocks
//
// How an operation that changes something goes (docs/locking.md):
//   1. begin_change(): refuses on a read-only or failed volume; hold the guard to the end.
//   2. get() the inodes, lock them exclusively, in ascending order of number (InodeLocks).
//   3. ask immutable/ (policy) under the locks.
//   4. transact(): copy `inode.attributes`, change the copy, store it with everything else.
//      The body may run several times, so it starts from the committed state each time.
//   5. after the commit assign the copy to `inode.attributes`; then locks go, then references;
//      tell the observer, if at all, with no lock held; removals.reap() if an orphan may be due.
#pragma once

#include "alloc/transaction.h"
#include "extent_map/extent_map.h"
#include "immutable/quarantine_table.h"
#include "inode/bad_block_table.h"
#include "inode/directory.h"
#include "inode/shutdown_table.h"
#include "inode/unfinished.h"
#include "volume/inode_cache.h"
#include "volume/removals.h"
#include "volume/volume.h"

#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

namespace daxpin::volume {

using Transaction = alloc::Transaction;

class Freeing;

enum Touch : unsigned { touch_atime = 1, touch_mtime = 2, touch_ctime = 4 };

// How much one transaction of a deletion in steps may do, so that its record stays well below
// the journal's limit.
struct StepLimit {
    std::size_t items;    // tree items removed
    std::uint64_t blocks; // data blocks freed: their bits are in the record
};

class Engine {
  public:
    Engine(device::DeviceTable opened, Env &environment, const Options &mount_options)
        : devices(std::move(opened)), env(environment), options(mount_options) {}
    Engine(const Engine &) = delete;
    Engine &operator=(const Engine &) = delete;

    // Recovers the journal and opens the layers below; nothing else may be called before.
    Result<void> start();

    // ---- set at open ----
    device::DeviceTable devices;
    Env &env;
    const Options options; // options.read_only: ask check_writable() instead
    format::Superblock superblock{};
    HashKey hash_key{};
    BootId boot_id{};
    std::uint64_t mapping_unit = block_size; // bytes: the largest of the devices that hold data
    std::uint64_t mount_id = 0;
    std::unique_ptr<journal::Journal> journal;
    std::unique_ptr<alloc::Allocator> allocator;
    std::unique_ptr<btree::Tree> tree;
    std::unique_ptr<inode::InodeTable> table;
    std::unique_ptr<inode::UnfinishedTable> unfinished;
    std::unique_ptr<inode::BadBlockTable> bad_block_table;
    std::unique_ptr<immutable::QuarantineTable> quarantine;
    std::unique_ptr<inode::ShutdownTable> shutdowns;
    std::unique_ptr<InodeCache> cache;

    // ---- views on one inode's items; they hold no state ----
    inode::Directory directory(InodeNumber number) { return {*tree, hash_key, number}; }
    inode::XattrSet xattrs(InodeNumber number) { return {*tree, devices, hash_key, number}; }
    extent_map::ExtentMap extents(InodeNumber number) { return {*tree, number}; }
    immutable::PinTable pin_table(InodeNumber number) { return {*tree, number}; }

    // ---- may we change anything? ----
    // ERRORS: read_only.
    Result<void> check_writable() const;
    bool is_read_only() const { return read_only_.load() || journal->failed(); }
    // Announces a change; a remount to read-only waits for the guards. ERRORS: read_only.
    Result<alloc::Grace::Guard> begin_change();
    Result<void> set_read_only(bool read_only);

    // ---- damage.cc ----
    // For errors that no caller sees; the others come by Volume::note_failure().
    // REQUIRES: no lock held.
    void note_failure(const Error &error);
    DamageReport damage() const;

    // Runs body(Transaction &) -> Result<T> as one transaction.
    // REQUIRES: begin_change() held; the inodes that it changes are locked exclusively.
    template <typename Body> auto transact(Body &&body,
                                           alloc::Purpose purpose = alloc::Purpose::ordinary,
                                           alloc::Reservation *reservation = nullptr) {
        return with_all_space(
            [&] { return alloc::transact(*allocator, purpose, body, reservation); });
    }
    // Sets data blocks aside. ERRORS: no_space.
    Result<alloc::Reservation> reserve(BlockCount blocks) {
        return with_all_space([&] { return allocator->reserve(blocks); });
    }

    // ---- inodes ----
    Result<InodeRef> get(InodeNumber number) { return cache->get(number); }
    Result<InodeRef> get_directory(InodeNumber number); // not_directory
    Result<InodeRef> get_regular(InodeNumber number);   // is_directory, invalid
    void touch(Attributes &attributes, unsigned which); // by the clock of env

    // What the policy looks at. REQUIRES: inode locked exclusively (reads pins if need be).
    Result<immutable::FileState> file_state(CachedInode &inode);
    Result<const std::vector<immutable::BlockRange> *> pins(CachedInode &inode);

    // What the kernel keeps of the inode is stale: its attributes; or its pages, or listing, too.
    // REQUIRES: no lock held.
    void tell_attributes_changed(InodeNumber number);
    void tell_data_changed(InodeNumber number);

    // The smallest part of the inode's blocks `run` that holds all of it that may still be mapped
    // under a lease of an earlier daemon in this boot. REQUIRES: inode locked or unused.
    std::optional<MediaRun> mapped_before(const Attributes &attributes, MediaRun run) const;
    // Leases of the inode were granted or ended. REQUIRES: inode locked exclusively.
    void note_leases(const CachedInode &inode);
    // A lease is granted in this mount on an inode that was not so marked.
    void note_leased_here(InodeNumber number);
    void forget_leased_here(std::span<const InodeNumber> removed);

    // ---- unfinished work (background.cc) ----
    StepLimit step_limit() const;
    bool is_full(Transaction &tx) const; // its record is at half of the journal's limit
    void post_work();                    // there is something for background_step()
    Removals removals{*this};
    // One transaction's worth of unfinished work. True if there is more that could be done.
    Result<bool> background_step();

    // Zeroes a piece of free space, unless somebody changes something just now. True if there may
    // be more.
    Result<bool> prezero_step();

    // ---- bad blocks (bad_blocks.cc) ----
    // Reads the list and asks the devices for theirs.
    void load_bad_blocks();
    void note_lost_pages();
    // Makes what was noted persistent, then tries to make usable what nobody owns, once a mount.
    // True if something was done.
    Result<bool> bad_blocks_step() REQUIRES(background_mutex_);
    // Blocks that cannot be read, with what they hit: `owners` walks the tree.
    std::vector<BadBlockInfo> show_bad_blocks(bool owners);
    // The list changes under this lock; taken under inode locks, before a transaction.
    Mutex bad_list_mutex;

    // ---- unsafe shutdowns (shutdowns.cc) ----
    // Reports each device whose count has risen, and remembers the counts.
    void note_shutdowns();
    void remember_shutdowns(unsigned device, std::uint64_t count);

    // ---- quarantine (quarantine.cc) ----
    // Runs that may leave the quarantine. A leaf lock.
    void queue_returns(const std::vector<MediaRun> &runs);
    // Returns a step's worth of them, after leases ended; the rest is background_step()'s.
    // REQUIRES: no lock held.
    void return_quarantine();
    // See Volume.
    bool awaits_proof() const { return awaits_proof_.load(); }
    void prove_absence(std::vector<MediaRun> mapped);
    void note_unproven() { awaits_proof_.store(true); }
    Result<void> forget_leases(InodeNumber number);
    std::vector<LeaseInfo> show_leases(InodeNumber from, immutable::LeaseId from_id,
                                       std::size_t limit);
    Result<QuarantinePage> show_quarantine(MediaBlock from, std::size_t limit);
    immutable::LeaseAccounts lease_accounts{options.lease_limits};

    // ---- the files half; contracts for the other one ----

    // Changes the size of a regular file and stores `changed`, which holds all other attributes
    // as they shall be (times included), in the same transaction; inode.attributes is the new
    // state on success. Asks immutable/. Blocks that one transaction cannot free are left to an
    // UnfinishedKind::truncate and post_work(). Equal size: only stores.
    // REQUIRES: begin_change() held, inode locked exclusively.
    // ERRORS: not_permitted, pinned, file_too_big, no_space, io.
    Result<void> change_size(CachedInode &inode, Attributes changed, std::uint64_t new_size,
                             Handle handle);

    // Frees data blocks of the file from `from` on within `limit` and takes them off
    // attributes.block_count, which the caller stores; off `limit`, too. True if extents are left.
    Result<bool> free_blocks_step(Transaction &tx, Attributes &attributes, FileBlock from,
                                  StepLimit &limit, Freeing &freeing);

    // Goes on with the inode's unfinished truncate: one transaction. True if there is more.
    // REQUIRES: begin_change() held, inode locked exclusively.
    Result<bool> truncate_step(CachedInode &inode, const inode::Unfinished &work);

    // Makes an open file of `request` (truncation has been done).
    // REQUIRES: inode locked exclusively.
    OpenReply add_handle(const InodeRef &inode, const OpenRequest &request);

    // Told after an open file was released; PIN and LEASE wait for it. A leaf lock.
    Mutex release_mutex;
    CondVar released;
    std::unordered_map<std::uint32_t, unsigned> waits GUARDED_BY(release_mutex); // by user

    // ---- shared by both halves ----
    std::atomic<CacheObserver *> observer{nullptr};
    std::atomic<Handle> next_handle{1};
    Mutex rename_mutex; // of renames that move a directory; before all inodes

  private:
    // Runs the action again as long as it finds no space while there are files to be freed.
    template <typename Action> auto with_all_space(const Action &action) -> decltype(action()) {
        for (;;) {
            const std::uint64_t seen = removals.done();
            auto result = action();
            if (result || result.code() != Errc::no_space || !removals.make_space(seen)) [[likely]]
                return result;
        }
    }
    Result<bool> truncation_step(InodeNumber number); // true if there is more
    // A step of what background_step() has to do; a file whose truncation it finished.
    Result<bool> posted_step(std::optional<InodeNumber> &shrunk) EXCLUDES(background_mutex_);
    Result<bool> list_bad_block(device::BadBlock bad) REQUIRES(bad_list_mutex);
    Result<void> reclaim_bad_block(MediaBlock block) REQUIRES(bad_list_mutex);
    // A run on its way out of quarantine, and how much of it goes in this step.
    struct Return {
        MediaRun run;
        BlockCount now;
        MediaRun rest() const { return {run.start + now, run.count - now}; }
    };
    std::vector<Return> take_returns();
    Result<void> return_run(Transaction &tx, const Return &what);
    Result<bool> return_some() REQUIRES(background_mutex_);
    Result<void> sweep_quarantine() REQUIRES(background_mutex_);
    Result<bool> may_return(const immutable::Quarantined &entry);
    Result<bool> quarantine_step() REQUIRES(background_mutex_);

    std::atomic<std::uint64_t> lost_pages_seen_{0};            // of lost_pages_told()
    std::uint64_t bad_seen_ GUARDED_BY(background_mutex_) = 0; // version that was made persistent
    std::vector<MediaBlock> reclaimable_ GUARDED_BY(background_mutex_); // not tried in this mount
    std::atomic<bool> read_only_{false};
    mutable alloc::Grace changes_; // operations between begin_change() and their end
    Mutex background_mutex_;       // one background step at a time
    InodeNumber background_cursor_ GUARDED_BY(background_mutex_){};
    std::atomic<std::uint64_t> work_posted_{1}; // something may have been left by the last mount
    std::uint64_t work_seen_ GUARDED_BY(background_mutex_) = 0;
    mutable Mutex damage_mutex_; // a leaf
    DamageReport damage_ GUARDED_BY(damage_mutex_);
    bool is_mapped(MediaRun run) const;
    // The first inode with leases from `from` on.
    std::optional<InodeNumber> next_leased(InodeNumber from);
    mutable Mutex leased_mutex_; // a leaf
    std::unordered_set<InodeNumber> leased_here_ GUARDED_BY(leased_mutex_);
    std::set<InodeNumber> leased_now_ GUARDED_BY(leased_mutex_);
    // What may be mapped under leases of earlier daemons: everything, until that is looked into.
    std::optional<std::vector<MediaRun>> mapped_ GUARDED_BY(leased_mutex_);
    std::atomic<bool> awaits_proof_{true};
    Mutex returns_mutex_; // a leaf
    std::map<MediaBlock, BlockCount> returns_ GUARDED_BY(returns_mutex_);
    // Where to look on for entries that may go: once a mount, and whenever something was proven.
    std::optional<MediaBlock> sweep_from_ GUARDED_BY(background_mutex_) = MediaBlock{};
    std::atomic<bool> sweep_again_{false};
};

class Volume::Impl final : public Engine {
  public:
    using Engine::Engine;
};

} // namespace daxpin::volume
