// SPDX-License-Identifier: BSD-3-Clause
//
// Engine: what all operations of a volume share: the layers below, the inode cache, helpers.
// Private to volume/. Volume's member functions are spread over the folder's files by subject
// and work on its Engine.
//
//   volume.cc       open, close, read-only, statistics     names.cc, create.cc, remove.cc,
//   background.cc   checkpoints, unfinished work            rename.cc, list.cc   names
//   damage.cc       what damage leads to                    file_*.cc   open files and their data
//   attributes.cc   attributes, flags                       pin_*.cc    pins and leases
//   xattrs.cc       extended attributes                     lease_list.cc   who leases what
//
// Three parts of it have a class of their own, with its state: Removals (files without a name),
// Quarantine (blocks on their way out of leased files) and BadBlockList.
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
#include "inode/bad_block_table.h"
#include "inode/directory.h"
#include "inode/shutdown_table.h"
#include "inode/unfinished.h"
#include "volume/bad_blocks.h"
#include "volume/inode_cache.h"
#include "volume/quarantine.h"
#include "volume/removals.h"
#include "volume/volume.h"

#include <set>
#include <unordered_map>

namespace daxpin::volume {

using Transaction = alloc::Transaction;

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
    std::unique_ptr<immutable::QuarantineTable> quarantine_table;
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

    BadBlockList bad_blocks{*this};

    // ---- unsafe shutdowns (shutdowns.cc) ----
    // Reports each device whose count has risen, and remembers the counts.
    void note_shutdowns();
    void remember_shutdowns(unsigned device, std::uint64_t count);

    // ---- leases and what they keep (lease_list.cc, quarantine.h) ----
    Quarantine quarantine{*this};
    // Leases of the inode were granted or ended. REQUIRES: inode locked exclusively.
    void note_leases(const CachedInode &inode);
    std::vector<LeaseInfo> show_leases(InodeNumber from, immutable::LeaseId from_id,
                                       std::size_t limit);
    immutable::LeaseAccounts lease_accounts{options.lease_limits};

    // ---- size changes ----

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

    // ---- observers and orders ----
    std::atomic<CacheObserver *> observer{nullptr};
    std::atomic<bool> kernel_keeps_stale_pages{false};
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

    std::atomic<bool> read_only_{false};
    mutable alloc::Grace changes_; // operations between begin_change() and their end
    Mutex background_mutex_;       // one background step at a time
    InodeNumber background_cursor_ GUARDED_BY(background_mutex_){};
    std::atomic<std::uint64_t> work_posted_{1}; // something may have been left by the last mount
    std::uint64_t work_seen_ GUARDED_BY(background_mutex_) = 0;
    mutable Mutex damage_mutex_; // a leaf
    DamageReport damage_ GUARDED_BY(damage_mutex_);
    // The first inode with leases from `from` on.
    std::optional<InodeNumber> next_leased(InodeNumber from);
    mutable Mutex leased_mutex_; // a leaf
    std::set<InodeNumber> leased_now_ GUARDED_BY(leased_mutex_);
};

} // namespace daxpin::volume
