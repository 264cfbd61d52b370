// SPDX-License-Identifier: BSD-3-Clause
//
// EXTENTS and SYNC: where the file's blocks are, and writing back what was stored there.
#include "volume/file_data.h"

#include <algorithm>

namespace daxpin::volume {
namespace {

ExtentInfo info_of(const Extent &extent) {
    return {extent.first.bytes(), extent.start.device(), extent.start.block() * block_size,
            extent.count.bytes(), extent.unwritten};
}

// The ranges that the open file leases, from block `from` on, in order and without overlap.
std::vector<BlockRange> leased_ranges(const CachedInode &inode, Handle handle, FileBlock from) {
    std::vector<BlockRange> ranges;
    for (const immutable::Lease &lease : inode.leases.all())
        if (lease.handle == handle && lease.range.end() > from)
            ranges.push_back(lease.range);
    std::ranges::sort(ranges, {}, &BlockRange::first);
    std::vector<BlockRange> apart;
    FileBlock at = from;
    for (const BlockRange &range : ranges) {
        const FileBlock first = std::max(at, range.first);
        if (first >= range.end())
            continue;
        apart.push_back({first, range.end() - first});
        at = range.end();
    }
    return apart;
}

// Appends what can be mapped of `range`, up to `limit` in all. Unwritten blocks are left out:
// what they hold is nobody's.
Result<void> append_extents(Engine &engine, InodeNumber number, BlockRange range, std::size_t limit,
                            Volume::ExtentsReply &reply) {
    FileBlock at = range.first;
    while (at < range.end()) {
        DAXPIN_TRY_ASSIGN(const auto extents,
                          engine.extents(number).range(nullptr, at, range.end() - at, 64));
        if (extents.empty())
            break;
        for (const Extent &extent : extents) {
            if (reply.extents.size() == limit) {
                reply.next = extent.first.bytes();
                return {};
            }
            if (!extent.unwritten)
                reply.extents.push_back(info_of(extent));
            at = extent.end();
        }
    }
    return {};
}

} // namespace

Result<Volume::ExtentsReply> Volume::extents(InodeNumber number, Handle handle, std::uint64_t from,
                                             std::uint64_t generation, std::size_t limit) {
    Engine &engine = *engine_;
    if (!engine.options.dax)
        return Errc::unsupported;
    DAXPIN_TRY_ASSIGN(const InodeRef inode, engine.get_regular(number));
    const SharedLock lock(inode->mutex);
    const auto ranges = leased_ranges(*inode, handle, block_at(from));
    if (handle == 0 || ranges.empty())
        return Errc::no_lease;
    ExtentsReply reply{{}, ~std::uint64_t{0}, inode->leases.generation()};
    if (generation != 0 && generation != reply.generation)
        return Errc::stale;
    for (const BlockRange &range : ranges) {
        DAXPIN_TRY(append_extents(engine, number, range, limit, reply));
        if (reply.next != ~std::uint64_t{0})
            break;
    }
    return reply;
}

Result<std::vector<ExtentInfo>> Volume::show_extents(InodeNumber number, std::size_t limit) {
    Engine &engine = *engine_;
    if (!engine.options.dax)
        return Errc::unsupported;
    DAXPIN_TRY_ASSIGN(const InodeRef inode, engine.get_regular(number));
    const SharedLock lock(inode->mutex);
    DAXPIN_TRY_ASSIGN(const auto extents,
                      engine.extents(number).range(nullptr, {0}, {~std::uint64_t{0}}, limit));
    std::vector<ExtentInfo> shown;
    shown.reserve(extents.size());
    for (const Extent &extent : extents)
        shown.push_back(info_of(extent));
    return shown;
}

namespace {

// Others get at the file after so many bytes, or extents.
constexpr std::uint64_t sync_bytes_at_once = std::uint64_t{32} << 20;
constexpr std::size_t sync_extents_at_once = 64;

// Flushes a beginning of bytes [from, end) of the file. Returns where to go on; `end` when all is
// done.
Result<std::uint64_t> flush_some(Engine &engine, CachedInode &inode, std::uint64_t from,
                                 std::uint64_t end) {
    const SharedLock lock(inode.mutex);
    // A mapper may store up to the end of the last mapping unit.
    const FileBlock owned_end = immutable::end_of(inode.attributes.size, engine.mapping_unit);
    const std::uint64_t to = std::min(end, owned_end.bytes());
    if (from >= to)
        return end;
    const FileBlock first = block_at(from);
    DAXPIN_TRY_ASSIGN(const auto extents, engine.extents(inode.number)
                                              .range(nullptr, first, immutable::end_of(to) - first,
                                                     sync_extents_at_once));
    std::uint64_t left = sync_bytes_at_once;
    for (const Extent &extent : extents) {
        const std::uint64_t begin = std::max(from, extent.first.bytes());
        const std::uint64_t count = std::min(left, std::min(to, extent.end().bytes()) - begin);
        // On a device opened read-only nobody can have stored.
        if (!engine.devices.at(extent.start.device()).info().read_only)
            engine.devices.flush(extent.start, begin - extent.first.bytes(), count);
        from = begin + count;
        left -= count;
        if (left == 0)
            return from;
    }
    return extents.size() == sync_extents_at_once ? from : end;
}

} // namespace

Result<void> Volume::sync_range(InodeNumber number, immutable::ByteRange range) {
    Engine &engine = *engine_;
    DAXPIN_TRY_ASSIGN(const InodeRef inode, engine.get_regular(number));
    if (range.offset + range.length < range.offset)
        return Errc::invalid;
    const std::uint64_t end = range.whole() ? ~std::uint64_t{0} : range.offset + range.length;
    for (std::uint64_t at = range.offset; at < end;) {
        DAXPIN_TRY_ASSIGN(at, flush_some(engine, *inode, at, end));
    }
    // On a volume that became read-only, too: those who map may store on.
    auto drained = engine.devices.drain();
    if (!drained)
        engine.journal->fail();
    return drained;
}

} // namespace daxpin::volume
