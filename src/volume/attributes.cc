// SPDX-License-Identifier: BSD-3-Clause
//
// Attributes and flags.
#include "volume/access_lists.h"
#include "volume/privileges.h"

#include <bit>
#include <sys/stat.h>

namespace daxpin::volume {

namespace {

constexpr std::uint32_t frozen_flags = format::inode_flag_immutable | format::inode_flag_append;
constexpr std::uint32_t settable_flags =
    frozen_flags | format::inode_flag_noatime | format::inode_flag_nodump | format::inode_flag_dax;
constexpr std::uint64_t align_hint_max = std::uint64_t{1} << 30; // bytes

// What chattr +i and +a forbid here; the size is the policy's business. Privileges alone may go
// from +a: the kernel asks for it before an append.
Result<void> check_frozen(const Attributes &attributes, const AttributeChange &change) {
    const bool sets = change.mode || change.uid || change.gid || change.atime_ns ||
                      change.mtime_ns || change.ctime_ns;
    if (sets && (attributes.flags & frozen_flags))
        return Errc::not_permitted;
    const bool touches = change.atime_now || change.mtime_now || change.kill_privileges;
    if (touches && (attributes.flags & format::inode_flag_immutable))
        return Errc::not_permitted;
    return {};
}

void change_owner(Attributes &attributes, const AttributeChange &change) {
    attributes.uid = change.uid.value_or(attributes.uid);
    attributes.gid = change.gid.value_or(attributes.gid);
}

void change_times(Engine &engine, Attributes &attributes, const AttributeChange &change) {
    engine.touch(attributes, touch_ctime | (change.atime_now ? touch_atime : 0U) |
                                 (change.mtime_now ? touch_mtime : 0U));
    if (change.atime_ns)
        attributes.atime_ns = *change.atime_ns;
    if (change.mtime_ns)
        attributes.mtime_ns = *change.mtime_ns;
    if (change.ctime_ns)
        attributes.ctime_ns = *change.ctime_ns;
}

bool takes_privileges(const CachedInode &inode, const AttributeChange &change) {
    return inode.type != S_IFDIR && (change.uid || change.gid || change.kill_privileges);
}

Attributes changed_attributes(Engine &engine, const Caller &caller, const CachedInode &inode,
                              const AttributeChange &change) {
    Attributes changed = inode.attributes;
    if (change.mode)
        changed.mode = (changed.mode & S_IFMT) | (*change.mode & 07777U);
    change_owner(changed, change);
    if (takes_privileges(inode, change))
        drop_set_id(changed, caller, inode.attributes.gid);
    change_times(engine, changed, change);
    if (change.size && *change.size != changed.size && !change.mtime_ns)
        engine.touch(changed, touch_mtime);
    return changed;
}

Result<void> store(Engine &engine, CachedInode &inode, const Attributes &changed) {
    const bool permissions_change = ((changed.mode ^ inode.attributes.mode) & 0777U) != 0;
    DAXPIN_TRY(engine.transact([&](Transaction &tx) -> Result<void> {
        if (permissions_change)
            DAXPIN_TRY(follow_mode(engine, tx, inode.number, changed.mode));
        return engine.table->store(tx, changed);
    }));
    inode.attributes = changed;
    return {};
}

Result<void> check_new_size(Engine &engine, CachedInode &inode, std::uint64_t size) {
    if (inode.type == S_IFDIR)
        return Errc::is_directory;
    if (inode.type != S_IFREG)
        return Errc::invalid;
    DAXPIN_TRY_ASSIGN(const auto state, engine.file_state(inode));
    return immutable::check_size_change(state, *inode.pins, inode.leases, size);
}

Result<void> check_flags(const CachedInode &inode, std::uint32_t flags,
                         std::optional<std::uint64_t> align_hint) {
    const bool maps = inode.type == S_IFREG || inode.type == S_IFDIR;
    if (flags & ~(settable_flags | format::inode_flag_pinned_whole))
        return Errc::unsupported;
    if ((flags & format::inode_flag_dax) && !maps)
        return Errc::invalid;
    const std::uint64_t hint = align_hint.value_or(0);
    if (hint != 0 &&
        (!maps || !std::has_single_bit(hint) || hint < block_size || hint > align_hint_max))
        return Errc::invalid;
    return {};
}

} // namespace

Result<Attributes> Volume::attributes(InodeNumber number) {
    DAXPIN_TRY_ASSIGN(const auto inode, engine_->get(number));
    const SharedLock lock(inode->mutex);
    return inode->attributes;
}

Result<Attributes> Volume::set_attributes(const Caller &caller, InodeNumber number,
                                          const AttributeChange &change, Handle handle) {
    DAXPIN_TRY_ASSIGN(const auto guard, engine_->begin_change());
    DAXPIN_TRY_ASSIGN(const auto inode, engine_->get(number));
    const ExclusiveLock lock(inode->mutex);
    DAXPIN_TRY(check_frozen(inode->attributes, change));
    if (change.size)
        DAXPIN_TRY(check_new_size(*engine_, *inode, *change.size));
    if (change.size || takes_privileges(*inode, change))
        DAXPIN_TRY(drop_capabilities(*engine_, *inode));
    const Attributes changed = changed_attributes(*engine_, caller, *inode, change);
    // A mode that comes with a size takes privileges away, so it may well come first.
    if (change.mode || !change.size)
        DAXPIN_TRY(store(*engine_, *inode, changed));
    if (change.size)
        DAXPIN_TRY(engine_->change_size(*inode, changed, *change.size, handle));
    if (change.size)
        inode->end_moved = false; // the reply tells it
    return inode->attributes;
}

Result<void> Volume::set_flags(const Caller &, InodeNumber number, std::uint32_t flags,
                               std::optional<std::uint64_t> align_hint) {
    DAXPIN_TRY_ASSIGN(const auto guard, engine_->begin_change());
    DAXPIN_TRY_ASSIGN(const auto inode, engine_->get(number));
    DAXPIN_TRY(check_flags(*inode, flags, align_hint));
    const ExclusiveLock lock(inode->mutex);
    Attributes changed = inode->attributes;
    changed.flags = (flags & settable_flags) | (changed.flags & ~settable_flags);
    changed.align_hint = align_hint.value_or(changed.align_hint);
    engine_->touch(changed, touch_ctime);
    return store(*engine_, *inode, changed);
}

} // namespace daxpin::volume
