// SPDX-License-Identifier: BSD-3-Clause
#include "volume/access_lists.h"

#include <linux/capability.h>
#include <sys/stat.h>

namespace daxpin::volume {

namespace {

constexpr std::uint32_t permission_bits = 0777;

Result<std::optional<inode::Acl>> read_list(Engine &engine, Transaction *tx, InodeNumber number,
                                            std::string_view name) {
    const auto value = engine.xattrs(number).get(tx, name);
    if (!value && value.code() == Errc::no_attribute)
        return std::optional<inode::Acl>{};
    DAXPIN_TRY(value);
    DAXPIN_TRY_ASSIGN(auto list, inode::Acl::parse(*value));
    return std::optional<inode::Acl>{std::move(list)};
}

Result<void> write_list(Engine &engine, Transaction &tx, InodeNumber number, std::string_view name,
                        const inode::Acl &list) {
    return engine.xattrs(number).set(tx, name, list.bytes(), inode::XattrMode::any);
}

// There is nothing to remove from an inode without a list; the kernel sees no error in that.
Result<void> erase_list(Engine &engine, Transaction &tx, InodeNumber number,
                        std::string_view name) {
    auto removed = engine.xattrs(number).remove(tx, name);
    if (!removed && removed.code() == Errc::no_attribute)
        return {};
    return removed;
}

Result<const std::optional<inode::Acl> *> default_list(Engine &engine, CachedInode &directory) {
    if (!directory.default_list) {
        DAXPIN_TRY_ASSIGN(directory.default_list,
                          read_list(engine, nullptr, directory.number, default_list_name));
    }
    return &*directory.default_list;
}

// As with chmod(2): setgid is for members of the group.
bool keeps_setgid(const Attributes &attributes, const Caller &caller) {
    return caller.is_in_group(attributes.gid) || caller.capable(CAP_FSETID);
}

} // namespace

Result<Inherited> inherit(Engine &engine, CachedInode &directory, std::uint32_t mode,
                          std::uint32_t umask) {
    Inherited inherited{.mode = mode};
    if (S_ISLNK(mode))
        return inherited;
    DAXPIN_TRY_ASSIGN(const auto *list, default_list(engine, directory));
    if (!*list) {
        inherited.mode &= ~(umask & permission_bits);
        return inherited;
    }
    inode::Acl access = **list;
    inherited.mode = access.restrict_by(mode);
    if (!access.is_mode_only())
        inherited.access = std::move(access);
    if (S_ISDIR(mode))
        inherited.fallback = *list;
    return inherited;
}

Result<void> Inherited::store(Engine &engine, Transaction &tx, InodeNumber number) const {
    if (access)
        DAXPIN_TRY(write_list(engine, tx, number, access_list_name, *access));
    if (fallback)
        DAXPIN_TRY(write_list(engine, tx, number, default_list_name, *fallback));
    return {};
}

Result<void> follow_mode(Engine &engine, Transaction &tx, InodeNumber number, std::uint32_t mode) {
    DAXPIN_TRY_ASSIGN(auto list, read_list(engine, &tx, number, access_list_name));
    if (!list)
        return {};
    list->set_mode(mode);
    return write_list(engine, tx, number, access_list_name, *list);
}

Result<void> set_list(Engine &engine, CachedInode &inode, const Caller &caller,
                      std::string_view name, std::span<const std::byte> value) {
    if (inode.type == S_IFLNK)
        return Errc::unsupported;
    if (name == default_list_name && inode.type != S_IFDIR)
        return Errc::access;
    DAXPIN_TRY_ASSIGN(const auto list, inode::Acl::parse(value));
    const bool sets_mode = name == access_list_name;
    Attributes changed = inode.attributes;
    engine.touch(changed, touch_ctime);
    if (sets_mode) {
        changed.mode = (changed.mode & ~permission_bits) | list.mode();
        if (!keeps_setgid(changed, caller))
            changed.mode &= ~std::uint32_t{S_ISGID};
    }
    DAXPIN_TRY(engine.transact([&](Transaction &tx) -> Result<void> {
        DAXPIN_TRY(sets_mode && list.is_mode_only()
                       ? erase_list(engine, tx, inode.number, name)
                       : write_list(engine, tx, inode.number, name, list));
        return engine.table->store(tx, changed);
    }));
    inode.attributes = changed;
    inode.default_list.reset();
    return {};
}

Result<void> remove_list(Engine &engine, CachedInode &inode, std::string_view name) {
    Attributes changed = inode.attributes;
    engine.touch(changed, touch_ctime);
    DAXPIN_TRY(engine.transact(
        [&](Transaction &tx) -> Result<void> {
            DAXPIN_TRY(erase_list(engine, tx, inode.number, name));
            return engine.table->store(tx, changed);
        },
        alloc::Purpose::release));
    inode.attributes = changed;
    inode.default_list.reset();
    return {};
}

} // namespace daxpin::volume
