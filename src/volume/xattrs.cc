// SPDX-License-Identifier: BSD-3-Clause
//
// Extended attributes, access control lists among them (access_lists.h). Who may see or set which
// namespace was checked by the kernel; the volume checks +i and +a. The names below "user.daxpin."
// are the daemon's and never stored.
#include "volume/access_lists.h"
#include "volume/privileges.h"

#include <algorithm>

namespace daxpin::volume {

namespace {

constexpr std::string_view own_prefix = "user.daxpin.";
constexpr std::size_t name_bytes_max = 255;

bool is_stored_namespace(std::string_view name) {
    for (const std::string_view prefix : {"user.", "trusted.", "security."})
        if (name.starts_with(prefix) && name.size() > prefix.size())
            return true;
    return is_access_list(name);
}

Result<void> check_name(std::string_view name) {
    if (name.size() > name_bytes_max)
        return Errc::range;
    if (!is_stored_namespace(name))
        return Errc::unsupported;
    return {};
}

Result<void> check_frozen(const Attributes &attributes) {
    if (attributes.flags & (format::inode_flag_immutable | format::inode_flag_append))
        return Errc::not_permitted;
    return {};
}

// Runs change(tx, attributes of the inode), with ctime touched.
template <typename Change> Result<void> change_xattrs(Engine &engine, CachedInode &inode,
                                                      alloc::Purpose purpose, Change &&change) {
    Attributes changed = inode.attributes;
    engine.touch(changed, touch_ctime);
    auto set = engine.xattrs(inode.number);
    DAXPIN_TRY(engine.transact(
        [&](Transaction &tx) -> Result<void> {
            DAXPIN_TRY(change(tx, set));
            return engine.table->store(tx, changed);
        },
        purpose));
    inode.attributes = changed;
    return {};
}

} // namespace

Result<inode::Bytes> Volume::get_xattr(const Caller &, InodeNumber number, std::string_view name) {
    if (name.starts_with(own_prefix))
        return Errc::no_attribute;
    DAXPIN_TRY(check_name(name));
    DAXPIN_TRY_ASSIGN(const auto inode, engine_->get(number));
    const SharedLock lock(inode->mutex);
    return engine_->xattrs(number).get(nullptr, name);
}

Result<void> Volume::set_xattr(const Caller &caller, InodeNumber number, std::string_view name,
                               std::span<const std::byte> value, inode::XattrMode mode) {
    if (name.starts_with(own_prefix))
        return Errc::invalid;
    DAXPIN_TRY(check_name(name));
    DAXPIN_TRY_ASSIGN(const auto guard, engine_->begin_change());
    DAXPIN_TRY_ASSIGN(const auto inode, engine_->get(number));
    const ExclusiveLock lock(inode->mutex);
    DAXPIN_TRY(check_frozen(inode->attributes));
    if (is_access_list(name))
        return set_list(*engine_, *inode, caller, name, value);
    if (name == capability_name)
        inode->has_capabilities.reset();
    return change_xattrs(
        *engine_, *inode, alloc::Purpose::ordinary,
        [&](Transaction &tx, inode::XattrSet &set) { return set.set(tx, name, value, mode); });
}

Result<void> Volume::remove_xattr(const Caller &, InodeNumber number, std::string_view name) {
    if (name.starts_with(own_prefix))
        return Errc::no_attribute;
    DAXPIN_TRY(check_name(name));
    DAXPIN_TRY_ASSIGN(const auto guard, engine_->begin_change());
    DAXPIN_TRY_ASSIGN(const auto inode, engine_->get(number));
    const ExclusiveLock lock(inode->mutex);
    DAXPIN_TRY(check_frozen(inode->attributes));
    if (is_access_list(name))
        return remove_list(*engine_, *inode, name);
    return change_xattrs(
        *engine_, *inode, alloc::Purpose::release,
        [&](Transaction &tx, inode::XattrSet &set) { return set.remove(tx, name); });
}

Result<std::vector<std::string>> Volume::list_xattrs(InodeNumber number) {
    DAXPIN_TRY_ASSIGN(const auto inode, engine_->get(number));
    const SharedLock lock(inode->mutex);
    return engine_->xattrs(number).names();
}

} // namespace daxpin::volume
