// SPDX-License-Identifier: BSD-3-Clause
//
// Requests about extended attributes.
#include "fusefs/operations.h"
#include "fusefs/pin_attributes.h"
#include "fusefs/request.h"

#include <linux/capability.h>
#include <span>
#include <sys/xattr.h>

namespace daxpin::fusefs {
namespace {

Result<inode::XattrMode> xattr_mode(int flags) {
    switch (flags) {
    case 0:
        return inode::XattrMode::any;
    case XATTR_CREATE:
        return inode::XattrMode::create;
    case XATTR_REPLACE:
        return inode::XattrMode::replace;
    default:
        return Errc::invalid;
    }
}

// The names of trusted.* are for administrators alone; the kernel leaves that to the filesystem.
bool may_see(const volume::Caller &caller, std::string_view name) {
    return !name.starts_with("trusted.") || caller.capable(CAP_SYS_ADMIN);
}

Result<std::vector<char>> get(Filesystem &fs, fuse_req_t raw, InodeNumber inode,
                              std::string_view name) {
    if (is_pin_attribute(name)) {
        DAXPIN_TRY_ASSIGN(const auto text, get_pin_attribute(fs.volume, inode, name));
        return std::vector<char>(text.begin(), text.end());
    }
    DAXPIN_TRY_ASSIGN(const auto value, fs.volume.get_xattr(caller(raw), inode, name));
    const auto *bytes = reinterpret_cast<const char *>(value.data());
    return std::vector<char>(bytes, bytes + value.size());
}

// With its access list a file's mode changes. The kernel asks for the new one, but would believe
// an answer from before, too.
void mode_may_have_changed(Filesystem &fs, InodeNumber inode, std::string_view name) {
    if (name == "system.posix_acl_access")
        fs.notifier.invalidate_attributes(inode);
}

// getxattr and listxattr: the kernel asks for the size first (room 0) or names its room.
using AttributeBytes = Result<std::vector<char>>;
template <typename Produce> void answer(fuse_req_t raw, std::size_t room, Produce &&produce) {
    if (room == 0) {
        dispatch(raw, [&](Filesystem &fs) -> Result<SizeReply> {
            DAXPIN_TRY_ASSIGN(const auto bytes, AttributeBytes(produce(fs)));
            return SizeReply{bytes.size()};
        });
        return;
    }
    dispatch(raw, [&](Filesystem &fs) -> Result<BytesReply> {
        DAXPIN_TRY_ASSIGN(auto bytes, AttributeBytes(produce(fs)));
        if (bytes.size() > room)
            return Errc::range;
        return BytesReply{std::move(bytes)};
    });
}

} // namespace

void op_getxattr(fuse_req_t raw, fuse_ino_t inode, const char *name, size_t size) {
    answer(raw, size, [&](Filesystem &fs) { return get(fs, raw, InodeNumber{inode}, name); });
}

void op_listxattr(fuse_req_t raw, fuse_ino_t inode, size_t size) {
    answer(raw, size, [&](Filesystem &fs) -> AttributeBytes {
        DAXPIN_TRY_ASSIGN(const auto names, fs.volume.list_xattrs(InodeNumber{inode}));
        std::vector<char> bytes;
        for (const std::string &name : names)
            if (may_see(caller(raw), name))
                bytes.insert(bytes.end(), name.c_str(), name.c_str() + name.size() + 1);
        return bytes;
    });
}

void op_setxattr(fuse_req_t raw, fuse_ino_t inode, const char *name, const char *value, size_t size,
                 int flags) {
    dispatch(raw, [&](Filesystem &fs) -> Result<EmptyReply> {
        if (is_pin_attribute(name)) {
            DAXPIN_TRY(set_pin_attribute(fs.volume, caller(raw), InodeNumber{inode}, name,
                                         std::string_view(value, size)));
            return EmptyReply{};
        }
        DAXPIN_TRY_ASSIGN(const auto mode, xattr_mode(flags));
        DAXPIN_TRY(fs.volume.set_xattr(caller(raw), InodeNumber{inode}, name,
                                       std::as_bytes(std::span(value, size)), mode));
        mode_may_have_changed(fs, InodeNumber{inode}, name);
        return EmptyReply{};
    });
}

void op_removexattr(fuse_req_t raw, fuse_ino_t inode, const char *name) {
    dispatch(raw, [&](Filesystem &fs) -> Result<EmptyReply> {
        const InodeNumber number{inode};
        if (is_pin_attribute(name))
            DAXPIN_TRY(remove_pin_attribute(fs.volume, caller(raw), number, name));
        else
            DAXPIN_TRY(fs.volume.remove_xattr(caller(raw), number, name));
        mode_may_have_changed(fs, number, name);
        return EmptyReply{};
    });
}

} // namespace daxpin::fusefs
