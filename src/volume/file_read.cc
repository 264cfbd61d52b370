// SPDX-License-Identifier: BSD-3-Clause
//
// Reading: replies point at the media; holes and unwritten blocks at a shared area of zeros.
#include "volume/file_data.h"

#include <algorithm>

namespace daxpin::volume {
namespace {

constexpr std::int64_t day_ns = std::int64_t{86400} * 1'000'000'000;

// Never written to, so that the kernel backs it by its one page of zeros.
alignas(block_size) std::array<std::byte, std::size_t{1} << 20> zero_area;

void append_zeros(ReadReply &reply, std::uint64_t length) {
    while (length > 0) {
        const std::uint64_t part = std::min<std::uint64_t>(length, zero_area.size());
        reply.segments.push_back(std::span<const std::byte>(zero_area).first(part));
        length -= part;
    }
}

void append_media(ReadReply &reply, const std::byte *address, std::uint64_t length) {
    if (!reply.segments.empty()) {
        auto &last = reply.segments.back();
        if (last.data() + last.size() == address) {
            last = {last.data(), last.size() + length};
            return;
        }
    }
    reply.segments.emplace_back(address, length);
}

// REQUIRES: inode locked; [offset, offset + length) not empty, within the file.
Result<void> resolve(Engine &engine, const CachedInode &inode, std::uint64_t offset,
                     std::uint64_t length, ReadReply &reply) {
    const FileBlock first = block_at(offset);
    const std::uint64_t end = offset + length;
    DAXPIN_TRY_ASSIGN(
        const auto extents,
        engine.extents(inode.number).range(nullptr, first, immutable::end_of(end) - first));
    std::uint64_t at = offset;
    for (const Extent &extent : extents) {
        if (extent.unwritten)
            continue;
        const std::uint64_t from = std::max(offset, extent.first.bytes());
        const std::uint64_t to = std::min(end, extent.end().bytes());
        DAXPIN_TRY(engine.bad_blocks.check(extent, from, to - from));
        append_zeros(reply, from - at);
        append_media(reply, engine.devices.address(extent.start) + (from - extent.first.bytes()),
                     to - from);
        at = to;
    }
    append_zeros(reply, end - at);
    reply.bytes = length;
    return {};
}

bool atime_is_due(const Engine &engine, const Attributes &attributes) {
    if (engine.options.atime == Atime::none || (attributes.flags & format::inode_flag_noatime) ||
        (attributes.is_directory() && !engine.options.directory_atime) || engine.is_read_only())
        return false;
    return engine.options.atime == Atime::strict || attributes.atime_ns <= attributes.mtime_ns ||
           attributes.atime_ns <= attributes.ctime_ns ||
           engine.env.now_ns() - attributes.atime_ns >= day_ns;
}

Result<void> touch_atime_now(Engine &engine, CachedInode &inode) {
    DAXPIN_TRY_ASSIGN(const auto change, engine.begin_change());
    const ExclusiveLock lock(inode.mutex);
    if (!atime_is_due(engine, inode.attributes))
        return {};
    Attributes changed = inode.attributes;
    engine.touch(changed, touch_atime);
    return commit_attributes(engine, inode, changed);
}

} // namespace

bool access_file(Engine &engine, CachedInode &inode) {
    bool due;
    {
        const SharedLock lock(inode.mutex);
        due = atime_is_due(engine, inode.attributes);
    }
    return due && touch_atime_now(engine, inode);
}

void access_file_unexpectedly(Engine &engine, CachedInode &inode) {
    if (access_file(engine, inode))
        engine.tell_attributes_changed(inode.number);
}

Result<ReadReply> Volume::read(InodeNumber number, Handle handle, std::uint64_t offset,
                               std::uint64_t length, bool noatime) {
    Engine &engine = *engine_;
    DAXPIN_TRY_ASSIGN(const InodeRef inode, engine.get_regular(number));
    if (!noatime)
        access_file(engine, *inode);
    ReadReply reply;
    const SharedLock lock(inode->mutex);
    // Not before: whoever has the lock may need blocks that wait for every guard to go.
    reply.guard = engine.allocator->grace().enter();
    if (handle != 0 && find_handle(*inode, handle) == nullptr)
        return Errc::bad_handle;
    const std::uint64_t size = inode->attributes.size;
    if (offset >= size || length == 0)
        return reply;
    DAXPIN_TRY(resolve(engine, *inode, offset, std::min(length, size - offset), reply));
    return reply;
}

Result<bool> Volume::may_be_dirty(InodeNumber number) {
    DAXPIN_TRY_ASSIGN(const InodeRef inode, engine_->get(number));
    const SharedLock lock(inode->mutex);
    return inode->cached_writers > 0;
}

Result<std::uint64_t> Volume::seek(InodeNumber number, std::uint64_t offset, bool hole) {
    Engine &engine = *engine_;
    DAXPIN_TRY_ASSIGN(const InodeRef inode, engine.get_regular(number));
    const SharedLock lock(inode->mutex);
    const std::uint64_t size = inode->attributes.size;
    if (offset >= size)
        return Errc::no_data;
    std::uint64_t at = offset;
    while (at < size) {
        DAXPIN_TRY_ASSIGN(const auto extent,
                          engine.extents(number).at_or_after(nullptr, block_at(at)));
        const bool in_hole = !extent || extent->first.bytes() > at || extent->unwritten;
        if (in_hole && hole)
            return at;
        if (!in_hole && !hole)
            return at;
        if (!extent)
            break;
        // Behind this data, behind this unwritten extent, or at the extent behind the hole.
        at = extent->first.bytes() > at ? extent->first.bytes() : extent->end().bytes();
    }
    if (hole)
        return size;
    return Errc::no_data;
}

} // namespace daxpin::volume
