// SPDX-License-Identifier: BSD-3-Clause
//
// Requests about attributes.
#include "fusefs/operations.h"
#include "fusefs/raw_request.h"
#include "fusefs/request.h"

#include <limits>

namespace daxpin::fusefs {
namespace {

// A date beyond what 64 bits of nanoseconds hold becomes the nearest they do (1677 to 2262).
std::int64_t to_ns(const timespec &time) {
    using Limits = std::numeric_limits<std::int64_t>;
    std::int64_t ns;
    if (__builtin_mul_overflow(std::int64_t{time.tv_sec}, std::int64_t{1'000'000'000}, &ns) ||
        __builtin_add_overflow(ns, std::int64_t{time.tv_nsec}, &ns))
        return time.tv_sec < 0 ? Limits::min() : Limits::max();
    return ns;
}

volume::AttributeChange to_change(const struct stat &wanted, int to_set, bool by_descriptor) {
    volume::AttributeChange change;
    if (to_set & FUSE_SET_ATTR_MODE)
        change.mode = wanted.st_mode & 07777;
    if (to_set & FUSE_SET_ATTR_UID)
        change.uid = wanted.st_uid;
    if (to_set & FUSE_SET_ATTR_GID)
        change.gid = wanted.st_gid;
    if (to_set & FUSE_SET_ATTR_SIZE)
        change.size = static_cast<std::uint64_t>(wanted.st_size);
    if (to_set & FUSE_SET_ATTR_ATIME_NOW)
        change.atime_now = true;
    else if (to_set & FUSE_SET_ATTR_ATIME)
        change.atime_ns = to_ns(wanted.st_atim);
    if (to_set & FUSE_SET_ATTR_MTIME_NOW)
        change.mtime_now = true;
    else if (to_set & FUSE_SET_ATTR_MTIME)
        change.mtime_ns = to_ns(wanted.st_mtim);
    else if ((to_set & FUSE_SET_ATTR_SIZE) && (by_descriptor || wanted.st_size == 0))
        change.mtime_now = true; // also if the size stays: ftruncate(2), open(2) with O_TRUNC
    if (to_set & FUSE_SET_ATTR_CTIME)
        change.ctime_ns = to_ns(wanted.st_ctim);
    // The kernel asks for no change at all for chown(2) with neither id: a new owner all the same.
    change.kill_privileges = request_kills_set_id() || to_set == 0;
    return change;
}

} // namespace

void op_getattr(fuse_req_t raw, fuse_ino_t inode, fuse_file_info *) {
    dispatch(raw, [&](Filesystem &fs) -> Result<AttributeReply> {
        DAXPIN_TRY_ASSIGN(const auto attributes, fs.volume.attributes(InodeNumber{inode}));
        return AttributeReply{attributes};
    });
}

void op_setattr(fuse_req_t raw, fuse_ino_t inode, struct stat *wanted, int to_set,
                fuse_file_info *info) {
    dispatch(raw, [&](Filesystem &fs) -> Result<AttributeReply> {
        DAXPIN_TRY_ASSIGN(const auto attributes,
                          fs.volume.set_attributes(caller(raw), InodeNumber{inode},
                                                   to_change(*wanted, to_set, info != nullptr),
                                                   info != nullptr ? info->fh : 0));
        return AttributeReply{attributes};
    });
}

} // namespace daxpin::fusefs
