// SPDX-License-Identifier: BSD-3-Clause
#include "volume/privileges.h"

#include "volume/file_data.h"

#include <linux/capability.h>
#include <sys/stat.h>

namespace daxpin::volume {

namespace {

bool has_set_id(const Attributes &attributes) {
    return (attributes.mode & (S_ISUID | S_ISGID)) != 0;
}

// Most files have none, and that is remembered. On an immutable file (+i) no change of content is
// about to succeed, so that nothing may go.
bool has_nothing_to_lose(const CachedInode &inode) {
    return (inode.attributes.flags & format::inode_flag_immutable) != 0 ||
           (!has_set_id(inode.attributes) && inode.has_capabilities == false);
}

// Returns whether the mode changed.
Result<bool> drop_locked(Engine &engine, const Caller &caller, const InodeRef &inode,
                         const std::function<bool()> &keeps_set_id,
                         std::optional<PlannedWrite> write) {
    DAXPIN_TRY_ASSIGN(const auto guard, engine.begin_change());
    const ExclusiveLock lock(inode->mutex);
    if (has_nothing_to_lose(*inode))
        return false;
    if (write) // one that is refused leaves everything as it was
        DAXPIN_TRY(check_planned(engine, *inode, *write));
    DAXPIN_TRY(drop_capabilities(engine, *inode));
    if (!has_set_id(inode->attributes) || keeps_set_id())
        return false;
    Attributes changed = inode->attributes;
    drop_set_id(changed, caller, changed.gid);
    if (changed.mode == inode->attributes.mode)
        return false;
    engine.touch(changed, touch_ctime);
    // A truncation that frees blocks must not fail for want of them.
    DAXPIN_TRY(engine.transact([&](Transaction &tx) { return engine.table->store(tx, changed); },
                               alloc::Purpose::release));
    inode->attributes = changed;
    return true;
}

} // namespace

void drop_set_id(Attributes &attributes, const Caller &caller, std::uint32_t group) {
    attributes.mode &= ~std::uint32_t{S_ISUID};
    const bool rights = (attributes.mode & S_IXGRP) != 0;
    if ((attributes.mode & S_ISGID) != 0 &&
        (rights || !(caller.is_in_group(group) || caller.capable(CAP_FSETID))))
        attributes.mode &= ~std::uint32_t{S_ISGID};
}

Result<void> drop_capabilities(Engine &engine, CachedInode &inode) {
    if (inode.has_capabilities == false)
        return {};
    auto set = engine.xattrs(inode.number);
    const auto present = set.get(nullptr, capability_name);
    if (present || present.code() != Errc::no_attribute)
        DAXPIN_TRY(engine.transact([&](Transaction &tx) { return set.remove(tx, capability_name); },
                                   alloc::Purpose::release));
    inode.has_capabilities = false;
    return {};
}

Result<void> Volume::drop_privileges(const Caller &caller, InodeNumber number,
                                     const std::function<bool()> &keeps_set_id,
                                     const std::optional<PlannedWrite> &write) {
    DAXPIN_TRY_ASSIGN(const auto inode, engine_->get(number));
    {
        const SharedLock lock(inode->mutex);
        if (has_nothing_to_lose(*inode))
            return {};
    }
    DAXPIN_TRY_ASSIGN(const bool mode_changed,
                      drop_locked(*engine_, caller, inode, keeps_set_id, write));
    if (mode_changed)
        engine_->tell_attributes_changed(number);
    return {};
}

} // namespace daxpin::volume
