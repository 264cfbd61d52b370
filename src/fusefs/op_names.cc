// SPDX-License-Identifier: BSD-3-Clause
//
// Requests about names.
#include "fusefs/operations.h"
#include "fusefs/request.h"

#include <span>

#include <linux/fs.h> // RENAME_*

namespace daxpin::fusefs {
namespace {

Result<EntryReply> make_node(Filesystem &fs, fuse_req_t raw, fuse_ino_t parent, const char *name,
                             const volume::NewNode &node) {
    DAXPIN_TRY_ASSIGN(const auto attributes,
                      fs.volume.make_node(caller(raw), InodeNumber{parent}, name, node));
    return EntryReply{attributes};
}

Result<volume::RenameMode> rename_mode(unsigned flags) {
    switch (flags) {
    case 0:
        return volume::RenameMode::plain;
    case RENAME_NOREPLACE:
        return volume::RenameMode::no_replace;
    case RENAME_EXCHANGE:
        return volume::RenameMode::exchange;
    case RENAME_WHITEOUT:
    case RENAME_WHITEOUT | RENAME_NOREPLACE: // see check_free()
        return volume::RenameMode::whiteout;
    default:
        return Errc::invalid;
    }
}

// NOREPLACE beside WHITEOUT. The kernel has both directories locked until the reply, so the name
// stays free.
Result<void> check_free(Filesystem &fs, InodeNumber folder, const char *name) {
    const auto found = fs.volume.lookup(folder, name);
    if (found) {
        fs.volume.forget(found->number, 1);
        return Errc::exists;
    }
    if (found.code() != Errc::not_found)
        return found.error();
    return {};
}

} // namespace

void op_lookup(fuse_req_t raw, fuse_ino_t parent, const char *name) {
    dispatch(raw, [&](Filesystem &fs) -> Result<EntryReply> {
        auto found = fs.volume.lookup(InodeNumber{parent}, name);
        if (found)
            return EntryReply{*found};
        if (found.code() == Errc::not_found)
            return EntryReply{};
        return std::move(found).error();
    });
}

void op_forget(fuse_req_t raw, fuse_ino_t inode, uint64_t count) {
    dispatch(raw, [&](Filesystem &fs) -> Result<NoReply> {
        fs.volume.forget(InodeNumber{inode}, count);
        return NoReply{};
    });
}

void op_forget_multi(fuse_req_t raw, size_t count, fuse_forget_data *forgets) {
    dispatch(raw, [&](Filesystem &fs) -> Result<NoReply> {
        for (const fuse_forget_data &forget : std::span(forgets, count))
            fs.volume.forget(InodeNumber{forget.ino}, forget.nlookup);
        return NoReply{};
    });
}

void op_readlink(fuse_req_t raw, fuse_ino_t inode) {
    dispatch(raw, [&](Filesystem &fs) -> Result<TextReply> {
        DAXPIN_TRY_ASSIGN(auto target, fs.volume.read_link(InodeNumber{inode}));
        return TextReply{std::move(target)};
    });
}

void op_mknod(fuse_req_t raw, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev) {
    dispatch(raw, [&](Filesystem &fs) {
        const volume::NewNode node{.mode = mode, .rdev = static_cast<std::uint32_t>(rdev)};
        return make_node(fs, raw, parent, name, node);
    });
}

void op_mkdir(fuse_req_t raw, fuse_ino_t parent, const char *name, mode_t mode) {
    dispatch(raw, [&](Filesystem &fs) {
        return make_node(fs, raw, parent, name, {.mode = (mode & ~mode_t{S_IFMT}) | S_IFDIR});
    });
}

void op_symlink(fuse_req_t raw, const char *target, fuse_ino_t parent, const char *name) {
    dispatch(raw, [&](Filesystem &fs) {
        return make_node(fs, raw, parent, name, {.mode = S_IFLNK | 0777, .target = target});
    });
}

void op_unlink(fuse_req_t raw, fuse_ino_t parent, const char *name) {
    dispatch(raw, [&](Filesystem &fs) -> Result<EmptyReply> {
        DAXPIN_TRY(fs.volume.unlink(caller(raw), InodeNumber{parent}, name));
        return EmptyReply{};
    });
}

void op_rmdir(fuse_req_t raw, fuse_ino_t parent, const char *name) {
    dispatch(raw, [&](Filesystem &fs) -> Result<EmptyReply> {
        DAXPIN_TRY(fs.volume.remove_directory(caller(raw), InodeNumber{parent}, name));
        return EmptyReply{};
    });
}

void op_rename(fuse_req_t raw, fuse_ino_t from, const char *from_name, fuse_ino_t to,
               const char *to_name, unsigned flags) {
    dispatch(raw, [&](Filesystem &fs) -> Result<EmptyReply> {
        DAXPIN_TRY_ASSIGN(const auto mode, rename_mode(flags));
        if (flags == (RENAME_WHITEOUT | RENAME_NOREPLACE))
            DAXPIN_TRY(check_free(fs, InodeNumber{to}, to_name));
        DAXPIN_TRY(fs.volume.rename(caller(raw), InodeNumber{from}, from_name, InodeNumber{to},
                                    to_name, mode));
        return EmptyReply{};
    });
}

void op_link(fuse_req_t raw, fuse_ino_t inode, fuse_ino_t parent, const char *name) {
    dispatch(raw, [&](Filesystem &fs) -> Result<EntryReply> {
        DAXPIN_TRY_ASSIGN(const auto attributes, fs.volume.link(caller(raw), InodeNumber{inode},
                                                                InodeNumber{parent}, name));
        return EntryReply{attributes};
    });
}

} // namespace daxpin::fusefs
