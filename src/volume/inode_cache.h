// SPDX-License-Identifier: BSD-3-Clause
//
// InodeCache: the inodes somebody uses, looks at or has open, by number.
//
// There is at most one CachedInode of a number. It stays while the kernel has references to it
// (lookups) or an InodeRef is alive (operations, open files); then it is dropped, and if it has
// no name either its number goes to the queue of orphans. Thread-safe; its mutexes are leaves
// in the order of locks (docs/locking.md), so get() may be called under inode locks, but not
// from within a transaction.
#pragma once

#include "base/sync.h"
#include "inode/acl.h"
#include "volume/types.h"

#include <array>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>

namespace daxpin::volume {

struct CachedInode;
class InodeCache;

// Keeps a CachedInode alive. Drop it after the inode's lock.
class [[nodiscard]] InodeRef {
  public:
    InodeRef() = default;
    InodeRef(InodeRef &&other) noexcept
        : cache_(other.cache_), inode_(std::exchange(other.inode_, nullptr)) {}
    InodeRef &operator=(InodeRef &&other) noexcept {
        std::swap(cache_, other.cache_);
        std::swap(inode_, other.inode_);
        return *this;
    }
    ~InodeRef();

    InodeRef share() const; // a second reference to the same inode
    CachedInode *get() const { return inode_; }
    CachedInode *operator->() const { return inode_; }
    CachedInode &operator*() const { return *inode_; }
    explicit operator bool() const { return inode_ != nullptr; }

  private:
    friend class InodeCache;
    InodeRef(InodeCache &cache, CachedInode &inode) : cache_(&cache), inode_(&inode) {}
    InodeCache *cache_ = nullptr;
    CachedInode *inode_ = nullptr;
};

// An open file description. Holds its inode in memory, so whoever removes one from
// CachedInode::handles moves it out and lets it die after the inode's lock.
struct OpenFile {
    InodeRef inode;
    bool write = false;
    bool append = false;
    bool direct = false; // answered FOPEN_DIRECT_IO; else the kernel caches
};

struct CachedInode {
    explicit CachedInode(InodeNumber inode_number) : number(inode_number) {}

    const InodeNumber number;
    // Set at load, never change, need no lock.
    std::uint32_t type = 0; // S_IFMT bits of the mode
    std::uint64_t generation = 0;

    // Guards all that follows up to the cache's own members. Held shared to read, exclusively
    // to change; a change holds it from the check of policy to the end of its transaction.
    // Several at once: InodeLocks.
    SharedMutex mutex;

    Attributes attributes; // the committed state; assigned after a commit, never before
    std::map<Handle, OpenFile> handles;
    immutable::Leases leases;
    std::optional<std::vector<immutable::BlockRange>> pins; // nothing: not read yet
    std::uint64_t name_changes = 0; // of a directory: what led somewhere may lead elsewhere since
    // A directory's default access control list; nothing: not read yet.
    std::optional<std::optional<inode::Acl>> default_list;
    std::optional<bool> has_capabilities; // file capabilities; nothing: nobody has looked
    bool linkable = false;                // created without a name; link() may give it one

    // --- regular files: how they are opened, truncations, PREPARE ---
    unsigned direct_opens = 0;   // PINs and LEASEs on their way: new opens are direct
    bool drop_cache = false;     // the next open must not keep the kernel's pages
    bool end_moved = false;      // by EXTEND, and the kernel may not know it yet
    unsigned cached_opens = 0;   // handles that are not direct
    unsigned cached_writers = 0; // of these, open for writing
    // There may be an unfinished truncate of this inode; true until somebody looked.
    bool truncating = true;
    unsigned preparing = 0;         // PREPAREs on their way; progress is the latest one's
    std::uint64_t prepare_done = 0; // bytes
    std::uint64_t prepare_total = 0;

    // The next in a chain of orphans: a list that allocates could fail.
    std::unique_ptr<CachedInode> next_orphan;

    // Takes an open file out, if there is one. Let it die after the inode's lock.
    decltype(handles)::node_type take_handle(Handle handle);

  private:
    friend class InodeCache;
    Mutex load_mutex; // of the first read of `attributes`
    std::atomic<bool> loaded{false};
    // Guarded by the shard's mutex:
    std::uint64_t lookups = 0;
    std::uint64_t users = 0; // InodeRefs
};

class InodeCache {
  public:
    explicit InodeCache(const inode::InodeTable &table) : table_(table) {}
    ~InodeCache();
    InodeCache(const InodeCache &) = delete;
    InodeCache &operator=(const InodeCache &) = delete;

    // ERRORS: stale if there is no such inode, or it has no name and nobody uses it; io; corrupt.
    Result<InodeRef> get(InodeNumber number);

    // The inode just created. REQUIRES: its number is new, nobody else can know it yet.
    InodeRef insert(const Attributes &attributes);

    void add_lookup(const InodeRef &inode);
    void forget(InodeNumber number, std::uint64_t count);
    bool in_use(InodeNumber number) const;

    // Takes the inodes without a name that came out of use since the last call, as a chain by
    // next_orphan.
    std::unique_ptr<CachedInode> take_orphans();
    // Whether it is time to: there are many of them, or one has many blocks.
    bool orphans_due() const { return orphans_due_.load(std::memory_order_acquire); }

  private:
    friend class InodeRef;
    struct alignas(64) Shard {
        mutable Mutex mutex;
        std::unordered_map<InodeNumber, std::unique_ptr<CachedInode>> inodes GUARDED_BY(mutex);
    };
    static constexpr std::size_t shard_count = 64;

    Shard &shard(InodeNumber number) const;
    InodeRef find_or_add(InodeNumber number);
    Result<void> load(CachedInode &inode);
    void add_user(CachedInode &inode);
    void drop_user(CachedInode &inode);
    std::unique_ptr<CachedInode> take_if_unused(Shard &shard, CachedInode &inode)
        REQUIRES(shard.mutex);
    void note_orphan(std::unique_ptr<CachedInode> dropped);

    const inode::InodeTable &table_;
    mutable std::array<Shard, shard_count> shards_;
    Mutex orphans_mutex_;
    std::unique_ptr<CachedInode> orphans_ GUARDED_BY(orphans_mutex_);
    std::size_t orphan_count_ GUARDED_BY(orphans_mutex_) = 0;
    std::atomic<bool> any_orphan_{false};
    std::atomic<bool> orphans_due_{false};
};

// Exclusive locks on several inodes, taken in ascending order of their numbers; null pointers
// and repetitions are skipped. Released together.
class [[nodiscard]] InodeLocks {
  public:
    explicit InodeLocks(std::initializer_list<CachedInode *> inodes);
    ~InodeLocks();
    InodeLocks(const InodeLocks &) = delete;
    InodeLocks &operator=(const InodeLocks &) = delete;

  private:
    static constexpr std::size_t count_max = 4;
    std::array<CachedInode *, count_max> locked_{};
    std::size_t count_ = 0;
};

} // namespace daxpin::volume
