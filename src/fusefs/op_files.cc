// SPDX-License-Identifier: BSD-3-Clause
//
// Requests about open files and their data.
#include "fusefs/operations.h"
#include "fusefs/raw_request.h"
#include "fusefs/request.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <span>
#include <unistd.h>

#include <linux/falloc.h>

namespace daxpin::fusefs {
namespace {

volume::OpenRequest to_request(int flags) {
    volume::OpenRequest request;
    request.write = (flags & O_ACCMODE) != O_RDONLY;
    request.append = (flags & O_APPEND) != 0;
    request.truncate = (flags & O_TRUNC) != 0;
    request.direct = (flags & O_DIRECT) != 0;
    request.noatime = (flags & O_NOATIME) != 0;
    request.kill_privileges = request_kills_set_id();
    return request;
}

Result<volume::FallocateMode> fallocate_mode(int mode) {
    using volume::FallocateMode;
    switch (mode) {
    case 0:
        return FallocateMode::allocate;
    case FALLOC_FL_KEEP_SIZE:
        return FallocateMode::allocate_keep_size;
    case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
        return FallocateMode::punch;
    case FALLOC_FL_ZERO_RANGE:
        return FallocateMode::zero;
    case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
        return FallocateMode::zero_keep_size;
    default:
        return Errc::unsupported;
    }
}

// The data of a write in memory: where it is, or copied together into `own`.
Result<std::span<const std::byte>> gather(fuse_bufvec &data, std::vector<std::byte> &own) {
    const fuse_buf &only = data.buf[0];
    if (data.count == 1 && data.idx == 0 && data.off == 0 && !(only.flags & FUSE_BUF_IS_FD))
        return std::span(static_cast<const std::byte *>(only.mem), only.size);
    own.resize(fuse_buf_size(&data));
    fuse_bufvec target{};
    target.count = 1;
    target.buf[0].size = own.size();
    target.buf[0].mem = own.data();
    const ssize_t copied = fuse_buf_copy(&target, &data, FUSE_BUF_NO_SPLICE);
    if (copied < 0)
        return from_errno(static_cast<int>(-copied));
    return std::span<const std::byte>(own).first(static_cast<std::size_t>(copied));
}

// By the flags as they are now, not when the file was opened. With O_APPEND the kernel has taken
// the end for the offset; pieces of one write may come in any order, and RWF_NOAPPEND leaves the
// flag as it is, so the offset is what counts.
volume::WriteMode write_mode_of(const fuse_file_info &info) {
    if (info.writepage != 0)
        return volume::WriteMode::page_cache;
    return (info.flags & O_APPEND) != 0 ? volume::WriteMode::append : volume::WriteMode::offset;
}

// Before WRITE, of which the kernel says whether the caller keeps set-id bits.
Result<void> drop_privileges(Filesystem &fs, fuse_req_t raw, fuse_ino_t inode,
                             const volume::PlannedWrite &write) {
    return fs.volume.drop_privileges(
        caller(raw), InodeNumber{inode}, [] { return !request_kills_set_id(); }, write);
}

// Before other changes of content, of which it says nothing. Of those that will be refused, too:
// the kernel (6.18) asks for it by a SETATTR of its own, before it asks for the change.
Result<void> drop_privileges_of(Filesystem &fs, fuse_req_t raw, fuse_ino_t inode) {
    const auto who = caller(raw);
    return fs.volume.drop_privileges(who, InodeNumber{inode},
                                     [&] { return who.capable(CAP_FSETID); });
}

} // namespace

void op_create(fuse_req_t raw, fuse_ino_t parent, const char *name, mode_t mode,
               fuse_file_info *info) {
    dispatch(raw, [&](Filesystem &fs) -> Result<CreateReply> {
        const volume::NewNode node{.mode = (mode & ~mode_t{S_IFMT}) | S_IFREG};
        const InodeNumber folder{parent};
        const auto request = to_request(info->flags);
        DAXPIN_TRY_ASSIGN(auto created,
                          request_creates_unnamed()
                              ? fs.volume.create_unnamed(caller(raw), folder, node, request)
                              : fs.volume.create(caller(raw), folder, name, node, request));
        return CreateReply{created.attributes, created.open};
    });
}

void op_open(fuse_req_t raw, fuse_ino_t inode, fuse_file_info *info) {
    dispatch(raw, [&](Filesystem &fs) -> Result<FileReply> {
        DAXPIN_TRY_ASSIGN(auto open, fs.volume.open_file(caller(raw), InodeNumber{inode},
                                                         to_request(info->flags)));
        return FileReply{InodeNumber{inode}, open};
    });
}

void op_release(fuse_req_t raw, fuse_ino_t inode, fuse_file_info *info) {
    dispatch(raw, [&](Filesystem &fs) -> Result<EmptyReply> {
        fs.volume.release(InodeNumber{inode}, info->fh);
        fs.pollers->drop(InodeNumber{inode}, info->fh);
        return EmptyReply{};
    });
}

// A regular file is always ready; POLLPRI tells that a lease of it is asked back.
void op_poll(fuse_req_t raw, fuse_ino_t inode, fuse_file_info *info, fuse_pollhandle *poller) {
    dispatch(raw, [&](Filesystem &fs) -> Result<PollReply> {
        // First, so that nothing that happens from here on is missed.
        if (poller != nullptr)
            fs.pollers->add(InodeNumber{inode}, info->fh, poller);
        const unsigned ready = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
        return PollReply{fs.volume.asked_back(InodeNumber{inode}) ? ready | POLLPRI : ready};
    });
}

void op_read(fuse_req_t raw, fuse_ino_t inode, size_t size, off_t offset, fuse_file_info *info) {
    dispatch(raw, [&](Filesystem &fs) -> Result<DataReply> {
        const bool noatime = (info->flags & O_NOATIME) != 0; // as it is now
        DAXPIN_TRY_ASSIGN(auto data,
                          fs.volume.read(InodeNumber{inode}, info->fh,
                                         static_cast<std::uint64_t>(offset), size, noatime));
        return DataReply{std::move(data)};
    });
}

void op_write_buf(fuse_req_t raw, fuse_ino_t inode, fuse_bufvec *data, off_t offset,
                  fuse_file_info *info) {
    dispatch(raw, [&](Filesystem &fs) -> Result<CountReply> {
        std::vector<std::byte> own;
        DAXPIN_TRY_ASSIGN(const auto bytes, gather(*data, own));
        const auto at = static_cast<std::uint64_t>(offset);
        const auto write_mode = write_mode_of(*info);
        DAXPIN_TRY(drop_privileges(fs, raw, inode, {info->fh, at, bytes.size(), write_mode}));
        DAXPIN_TRY_ASSIGN(const auto written,
                          fs.volume.write(InodeNumber{inode}, info->fh, at, bytes, write_mode));
        return CountReply{written};
    });
}

void op_fallocate(fuse_req_t raw, fuse_ino_t inode, int mode, off_t offset, off_t length,
                  fuse_file_info *info) {
    dispatch(raw, [&](Filesystem &fs) -> Result<EmptyReply> {
        DAXPIN_TRY_ASSIGN(const auto what, fallocate_mode(mode));
        DAXPIN_TRY(drop_privileges_of(fs, raw, inode));
        DAXPIN_TRY(fs.volume.fallocate(InodeNumber{inode}, info->fh, what,
                                       static_cast<std::uint64_t>(offset),
                                       static_cast<std::uint64_t>(length)));
        // Unless the size may change, the kernel believes answers to GETATTR from before.
        if ((mode & FALLOC_FL_KEEP_SIZE) != 0)
            fs.notifier.invalidate_attributes(InodeNumber{inode});
        return EmptyReply{};
    });
}

namespace {

// Dirty pages of a mapping may lie over a hole, and the kernel does not write them back before it
// asks. An answer that no page can change needs no look.
Result<bool> may_hide_data(Filesystem &fs, InodeNumber inode, std::uint64_t offset, bool hole) {
    DAXPIN_TRY_ASSIGN(const bool dirty, fs.volume.may_be_dirty(inode));
    if (!dirty)
        return false;
    DAXPIN_TRY_ASSIGN(const auto attributes, fs.volume.attributes(inode));
    if (offset >= attributes.size)
        return false;
    const auto found = fs.volume.seek(inode, offset, hole);
    if (!found)
        return found.code() == Errc::no_data;
    return hole ? *found < attributes.size : *found != offset;
}

} // namespace

void op_lseek(fuse_req_t raw, fuse_ino_t inode, off_t offset, int whence, fuse_file_info *) {
    const InodeNumber number{inode};
    const auto from = static_cast<std::uint64_t>(offset);
    const auto seek = [=](Filesystem &fs) -> Result<OffsetReply> {
        if (whence != SEEK_DATA && whence != SEEK_HOLE)
            return Errc::invalid;
        if (offset < 0)
            return Errc::no_data;
        DAXPIN_TRY_ASSIGN(const auto found, fs.volume.seek(number, from, whence == SEEK_HOLE));
        return OffsetReply{found};
    };
    const auto hidden = detail::run(
        [&] { return may_hide_data(filesystem(raw), number, from, whence == SEEK_HOLE); });
    if (hidden && *hidden)
        dispatch_written_back(raw, number, seek);
    else
        dispatch(raw, seek);
}

void op_copy_file_range(fuse_req_t raw, fuse_ino_t from, off_t from_offset,
                        fuse_file_info *from_info, fuse_ino_t to, off_t to_offset,
                        fuse_file_info *to_info, size_t length, int flags) {
    dispatch(raw, [&](Filesystem &fs) -> Result<CountReply> {
        if (flags != 0)
            return Errc::invalid;
        DAXPIN_TRY(drop_privileges_of(fs, raw, to));
        DAXPIN_TRY_ASSIGN(const auto copied,
                          fs.volume.copy_range(InodeNumber{from}, from_info->fh,
                                               static_cast<std::uint64_t>(from_offset),
                                               InodeNumber{to}, to_info->fh,
                                               static_cast<std::uint64_t>(to_offset), length));
        return CountReply{copied};
    });
}

} // namespace daxpin::fusefs
