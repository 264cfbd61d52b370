// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/request.h"

#include "fusefs/caller.h"
#include "fusefs/limited_log.h"

#include <cerrno>
#include <sys/statvfs.h>
#include <sys/uio.h>

namespace daxpin::fusefs {
namespace {

constexpr std::int64_t ns_per_s = 1'000'000'000;

timespec to_timespec(std::int64_t ns) {
    std::int64_t seconds = ns / ns_per_s;
    std::int64_t rest = ns % ns_per_s;
    if (rest < 0) { // before 1970
        --seconds;
        rest += ns_per_s;
    }
    return {seconds, static_cast<long>(rest)};
}

fuse_entry_param to_entry(const volume::Attributes &attributes) {
    fuse_entry_param entry{};
    entry.ino = attributes.number.value;
    entry.generation = attributes.generation;
    entry.attr = to_stat(attributes);
    entry.attr_timeout = attribute_timeout(attributes);
    entry.entry_timeout = cache_timeout;
    return entry;
}

fuse_file_info to_file_info(const volume::OpenReply &open) {
    fuse_file_info info{};
    info.fh = open.handle;
    info.direct_io = open.direct ? 1 : 0;
    info.keep_cache = open.keep_cache ? 1 : 0;
    return info;
}

// The kernel did not take a reply because its caller is gone.
bool dropped(int replied) {
    return replied == -ENOENT;
}

} // namespace

struct stat to_stat(const volume::Attributes &attributes) {
    struct stat st {};
    st.st_ino = attributes.number.value;
    st.st_mode = attributes.mode;
    st.st_nlink = attributes.link_count;
    st.st_uid = attributes.uid;
    st.st_gid = attributes.gid;
    st.st_rdev = attributes.rdev;
    st.st_size = static_cast<off_t>(attributes.size);
    st.st_blksize = block_size;
    st.st_blocks = static_cast<blkcnt_t>(attributes.block_count * (block_size / 512));
    st.st_atim = to_timespec(attributes.atime_ns);
    st.st_mtim = to_timespec(attributes.mtime_ns);
    st.st_ctim = to_timespec(attributes.ctime_ns);
    return st;
}

Filesystem &filesystem(fuse_req_t raw) {
    return *static_cast<Filesystem *>(fuse_req_userdata(raw));
}

volume::Caller caller(fuse_req_t raw) {
    const fuse_ctx *context = fuse_req_ctx(raw);
    auto who = make_caller(context->uid, context->gid, context->umask, context->pid);
    // The daemon's end waits for requests under way.
    who.has_given_up = [raw, session = filesystem(raw).session] {
        return fuse_req_interrupted(raw) != 0 || fuse_session_exited(session) != 0;
    };
    return who;
}

namespace detail {

void reply_error(fuse_req_t raw, const Error &error) {
    if (error.code == Errc::io || error.code == Errc::corrupt)
        log_limited("request failed: " + describe(error));
    fuse_reply_err(raw, to_errno(error.code));
}

void reply(fuse_req_t raw, Filesystem &, EmptyReply &) {
    fuse_reply_err(raw, 0);
}

void reply(fuse_req_t raw, Filesystem &, NoReply &) {
    fuse_reply_none(raw);
}

void reply(fuse_req_t raw, Filesystem &fs, EntryReply &answer) {
    if (!answer.attributes) {
        fuse_entry_param none{};
        none.entry_timeout = cache_timeout;
        fuse_reply_entry(raw, &none);
        return;
    }
    const fuse_entry_param entry = to_entry(*answer.attributes);
    if (dropped(fuse_reply_entry(raw, &entry)))
        fs.volume.forget(answer.attributes->number, 1);
}

void reply(fuse_req_t raw, Filesystem &, AttributeReply &answer) {
    const struct stat st = to_stat(answer.attributes);
    fuse_reply_attr(raw, &st, attribute_timeout(answer.attributes));
}

void reply(fuse_req_t raw, Filesystem &fs, CreateReply &answer) {
    const fuse_entry_param entry = to_entry(answer.attributes);
    const fuse_file_info info = to_file_info(answer.open);
    if (dropped(fuse_reply_create(raw, &entry, &info))) {
        fs.volume.release(answer.attributes.number, answer.open.handle);
        fs.volume.forget(answer.attributes.number, 1);
    }
}

void reply(fuse_req_t raw, Filesystem &fs, FileReply &answer) {
    const fuse_file_info info = to_file_info(answer.open);
    if (dropped(fuse_reply_open(raw, &info)))
        fs.volume.release(answer.inode, answer.open.handle);
}

void reply(fuse_req_t raw, Filesystem &fs, DirectoryReply &answer) {
    fuse_file_info info{};
    info.cache_readdir = 1;
    info.keep_cache = 1;
    if (dropped(fuse_reply_open(raw, &info)))
        fs.volume.release_directory(answer.inode);
}

void reply(fuse_req_t raw, Filesystem &, CountReply &answer) {
    fuse_reply_write(raw, answer.bytes);
}

void reply(fuse_req_t raw, Filesystem &, OffsetReply &answer) {
    fuse_reply_lseek(raw, static_cast<off_t>(answer.offset));
}

void reply(fuse_req_t raw, Filesystem &, TextReply &answer) {
    fuse_reply_readlink(raw, answer.text.c_str());
}

void reply(fuse_req_t raw, Filesystem &, BytesReply &answer) {
    fuse_reply_buf(raw, answer.bytes.data(), answer.bytes.size());
}

void reply(fuse_req_t raw, Filesystem &, SizeReply &answer) {
    fuse_reply_xattr(raw, answer.bytes);
}

void reply(fuse_req_t raw, Filesystem &fs, EntriesReply &answer) {
    if (!dropped(fuse_reply_buf(raw, answer.bytes.data(), answer.bytes.size())))
        return;
    for (const InodeNumber inode : answer.looked_up)
        fs.volume.forget(inode, 1);
}

// The kernel copies from media before the call returns; until then answer.data.guard keeps the
// blocks from reuse. A poisoned page fails the copy: see session.cc, write_reply().
void reply(fuse_req_t raw, Filesystem &, DataReply &answer) {
    constexpr std::size_t few = 8;
    const auto &segments = answer.data.segments;
    iovec some[few];
    std::vector<iovec> many;
    iovec *vectors = some;
    if (segments.size() > few) {
        many.resize(segments.size());
        vectors = many.data();
    }
    for (std::size_t i = 0; i < segments.size(); ++i)
        vectors[i] = {const_cast<std::byte *>(segments[i].data()), segments[i].size()};
    fuse_reply_iov(raw, vectors, static_cast<int>(segments.size()));
}

void reply(fuse_req_t raw, Filesystem &, StatisticsReply &answer) {
    struct statvfs st {};
    st.f_bsize = block_size;
    st.f_frsize = block_size;
    st.f_blocks = answer.statistics.total_blocks;
    st.f_bfree = answer.statistics.free_blocks;
    st.f_bavail = answer.statistics.available_blocks;
    st.f_namemax = 255;
    fuse_reply_statfs(raw, &st);
}

void reply(fuse_req_t raw, Filesystem &, PollReply &answer) {
    fuse_reply_poll(raw, answer.ready);
}

void reply(fuse_req_t raw, Filesystem &, IoctlReply &answer) {
    fuse_reply_ioctl(raw, 0, answer.out.data(), answer.out.size());
}

} // namespace detail
} // namespace daxpin::fusefs
