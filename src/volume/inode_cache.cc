// SPDX-License-Identifier: BSD-3-Clause
#include "volume/inode_cache.h"

#include "base/assert.h"

#include <algorithm>
#include <sys/stat.h>

namespace daxpin::volume {

decltype(CachedInode::handles)::node_type CachedInode::take_handle(Handle handle) {
    const auto found = handles.find(handle);
    if (found == handles.end())
        return {};
    if (!found->second.direct) {
        --cached_opens;
        cached_writers -= found->second.write ? 1 : 0;
    }
    return handles.extract(found);
}

InodeRef::~InodeRef() {
    if (inode_)
        cache_->drop_user(*inode_);
}

InodeRef InodeRef::share() const {
    cache_->add_user(*inode_);
    return {*cache_, *inode_};
}

InodeCache::~InodeCache() {
    // An open file holds the inode that holds it, and the last one without a name takes its inode
    // out of the cache, which it could not while the cache is taken down.
    std::vector<std::map<Handle, OpenFile>> open;
    for (Shard &home : shards_) {
        const MutexLock lock(home.mutex);
        for (const auto &[number, inode] : home.inodes)
            open.push_back(std::exchange(inode->handles, {}));
    }
}

InodeCache::Shard &InodeCache::shard(InodeNumber number) const {
    // The upper bits of a multiplicative hash; the map inside a shard uses the lower ones.
    return shards_[(number.value * 0x9e3779b97f4a7c15U) >> 58];
}

InodeRef InodeCache::find_or_add(InodeNumber number) {
    Shard &home = shard(number);
    const MutexLock lock(home.mutex);
    auto found = home.inodes.find(number);
    if (found == home.inodes.end())
        found = home.inodes.emplace(number, std::make_unique<CachedInode>(number)).first;
    ++found->second->users;
    return {*this, *found->second};
}

Result<void> InodeCache::load(CachedInode &inode) {
    const MutexLock lock(inode.load_mutex);
    if (inode.loaded.load(std::memory_order_acquire))
        return {};
    DAXPIN_TRY_ASSIGN(inode.attributes, table_.load(nullptr, inode.number));
    // Whoever still uses a file without a name has it in the cache already.
    if (inode.attributes.link_count == 0)
        return Errc::stale;
    inode.type = inode.attributes.mode & S_IFMT;
    inode.generation = inode.attributes.generation;
    inode.loaded.store(true, std::memory_order_release);
    return {};
}

Result<InodeRef> InodeCache::get(InodeNumber number) {
    InodeRef inode = find_or_add(number);
    if (!inode->loaded.load(std::memory_order_acquire))
        DAXPIN_TRY(load(*inode));
    return inode;
}

InodeRef InodeCache::insert(const Attributes &attributes) {
    InodeRef inode = find_or_add(attributes.number);
    const MutexLock lock(inode->load_mutex);
    inode->attributes = attributes;
    inode->type = attributes.mode & S_IFMT;
    inode->generation = attributes.generation;
    // What need not be looked for: it has neither pins nor unfinished truncations.
    inode->pins.emplace();
    inode->truncating = false;
    inode->loaded.store(true, std::memory_order_release);
    return inode;
}

void InodeCache::add_lookup(const InodeRef &inode) {
    const MutexLock lock(shard(inode->number).mutex);
    ++inode->lookups;
}

void InodeCache::add_user(CachedInode &inode) {
    const MutexLock lock(shard(inode.number).mutex);
    ++inode.users;
}

std::unique_ptr<CachedInode> InodeCache::take_if_unused(Shard &home, CachedInode &inode) {
    if (inode.users != 0 || inode.lookups != 0)
        return nullptr;
    const auto found = home.inodes.find(inode.number);
    DAXPIN_ASSERT(found != home.inodes.end());
    auto taken = std::move(found->second);
    home.inodes.erase(found);
    return taken;
}

void InodeCache::drop_user(CachedInode &inode) {
    Shard &home = shard(inode.number);
    std::unique_ptr<CachedInode> dropped;
    {
        const MutexLock lock(home.mutex);
        DAXPIN_ASSERT(inode.users > 0);
        --inode.users;
        dropped = take_if_unused(home, inode);
    }
    note_orphan(std::move(dropped));
}

void InodeCache::forget(InodeNumber number, std::uint64_t count) {
    Shard &home = shard(number);
    std::unique_ptr<CachedInode> dropped;
    {
        const MutexLock lock(home.mutex);
        const auto found = home.inodes.find(number);
        if (found == home.inodes.end())
            return;
        CachedInode &inode = *found->second;
        inode.lookups -= std::min(count, inode.lookups);
        dropped = take_if_unused(home, inode);
    }
    note_orphan(std::move(dropped));
}

bool InodeCache::in_use(InodeNumber number) const {
    Shard &home = shard(number);
    const MutexLock lock(home.mutex);
    const auto found = home.inodes.find(number);
    return found != home.inodes.end() && found->second->loaded.load(std::memory_order_acquire);
}

// So many orphans are worth a transaction, or one with more than so many blocks.
static constexpr std::size_t many_orphans = 16;
static constexpr std::uint64_t blocks_of_small_orphan = 64;

void InodeCache::note_orphan(std::unique_ptr<CachedInode> dropped) {
    if (!dropped || !dropped->loaded.load(std::memory_order_acquire) ||
        dropped->attributes.link_count != 0)
        return;
    const bool large = dropped->attributes.block_count > blocks_of_small_orphan;
    const MutexLock lock(orphans_mutex_);
    dropped->next_orphan = std::move(orphans_);
    orphans_ = std::move(dropped);
    any_orphan_.store(true, std::memory_order_release);
    if (++orphan_count_ >= many_orphans || large)
        orphans_due_.store(true, std::memory_order_release);
}

std::unique_ptr<CachedInode> InodeCache::take_orphans() {
    if (!any_orphan_.load(std::memory_order_acquire))
        return {};
    const MutexLock lock(orphans_mutex_);
    any_orphan_.store(false, std::memory_order_release);
    orphans_due_.store(false, std::memory_order_release);
    orphan_count_ = 0;
    return std::move(orphans_);
}

InodeLocks::InodeLocks(std::initializer_list<CachedInode *> inodes) NO_THREAD_SAFETY_ANALYSIS {
    DAXPIN_ASSERT(inodes.size() <= count_max);
    for (CachedInode *inode : inodes)
        if (inode)
            locked_[count_++] = inode;
    const auto begin = locked_.begin();
    const auto end = begin + static_cast<std::ptrdiff_t>(count_);
    std::sort(begin, end, [](auto *a, auto *b) { return a->number < b->number; });
    count_ = static_cast<std::size_t>(std::unique(begin, end) - begin);
    for (std::size_t i = 0; i < count_; ++i)
        locked_[i]->mutex.lock();
}

InodeLocks::~InodeLocks() NO_THREAD_SAFETY_ANALYSIS {
    while (count_ > 0)
        locked_[--count_]->mutex.unlock();
}

} // namespace daxpin::volume
