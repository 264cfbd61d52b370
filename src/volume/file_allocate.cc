// SPDX-License-Identifier: BSD-3-Clause
//
// fallocate(2) in its forms, each in steps that are one transaction each: allocation inserts
// unwritten extents, punching frees whole blocks, zeroing turns them unwritten.
#include "volume/file_data.h"

#include <algorithm>

namespace daxpin::volume {
namespace {

struct Request {
    std::uint64_t offset;
    std::uint64_t end;
    BlockRange touched() const { return immutable::blocks_of(offset, end - offset); }
};

// The whole blocks of the range; empty if it lies within one or two.
BlockRange whole_blocks(const Request &request) {
    const FileBlock first = immutable::end_of(request.offset);
    const FileBlock end = block_at(request.end);
    return {first, {end > first ? end.value - first.value : 0}};
}

Result<std::vector<BlockRange>> holes_of(Engine &engine, CachedInode &inode, BlockRange range) {
    DAXPIN_TRY_ASSIGN(const auto extents,
                      engine.extents(inode.number).range(nullptr, range.first, range.count));
    std::vector<BlockRange> holes;
    FileBlock at = range.first;
    const auto add_upto = [&](FileBlock end) {
        if (at < end)
            holes.push_back({at, end - at});
    };
    for (const Extent &extent : extents) {
        add_upto(extent.first);
        at = extent.end();
    }
    add_upto(range.end());
    return holes;
}

BlockCount total(const std::vector<BlockRange> &ranges) {
    BlockCount sum;
    for (const BlockRange &range : ranges)
        sum += range.count;
    return sum;
}

// One transaction: allocates for the beginning of `hole`. Returns where to go on.
Result<FileBlock> allocate_step(Engine &engine, CachedInode &inode, BlockRange hole,
                                std::uint64_t align, alloc::Purpose purpose,
                                alloc::Reservation &reservation) {
    const GrowthLimit limit = growth_limit(engine);
    FileBlock at = hole.first;
    DAXPIN_TRY_ASSIGN(
        const auto changed,
        engine.transact(
            [&](Transaction &tx) -> Result<Attributes> {
                Attributes attributes = inode.attributes;
                at = hole.first;
                std::uint64_t blocks = 0;
                for (std::size_t runs = 0;
                     at < hole.end() && runs < limit.runs && blocks < limit.blocks; ++runs) {
                    const BlockCount left{std::min((hole.end() - at).value, limit.blocks - blocks)};
                    DAXPIN_TRY_ASSIGN(const Extent run,
                                      allocate_hole(engine, inode, tx, {at, left, align}));
                    DAXPIN_TRY(insert_run(engine, tx, attributes, run, run.first, run.end(), true));
                    blocks += run.count.value;
                    at = run.end();
                }
                DAXPIN_TRY(engine.table->store(tx, attributes));
                return attributes;
            },
            purpose, &reservation));
    inode.attributes = changed;
    return at;
}

// Fills the holes of `range` with unwritten extents.
Result<void> allocate_range(Engine &engine, CachedInode &inode, BlockRange range) {
    DAXPIN_TRY_ASSIGN(const auto holes, holes_of(engine, inode, range));
    if (holes.empty())
        return {};
    DAXPIN_TRY_ASSIGN(const auto state, engine.file_state(inode));
    DAXPIN_TRY_ASSIGN(const auto *pins, engine.pins(inode));
    for (const BlockRange &hole : holes)
        DAXPIN_TRY(immutable::check_map_change(state, *pins, inode.leases, hole));
    DAXPIN_TRY_ASSIGN(auto reservation, engine.reserve(total(holes)));
    std::uint64_t align = hinted_align(engine, inode.attributes);
    auto purpose = alloc::Purpose::ordinary;
    for (const BlockRange &hole : holes) {
        FileBlock at = hole.first;
        while (at < hole.end()) {
            const BlockRange left{at, hole.end() - at};
            auto next = allocate_step(engine, inode, left, align, purpose, reservation);
            if (!next && next.code() == Errc::no_space && align > block_size) {
                align = block_size; // a hint is no more than that
                continue;
            }
            DAXPIN_TRY_ASSIGN(at, std::move(next));
            purpose = alloc::Purpose::rearrange; // nothing is to run out half way
        }
    }
    if (inode.leases.overlaps(range))
        inode.leases.map_changed();
    return {};
}

// The attributes that the last step stores: new times, and the new size if `end` is beyond the
// old one; what that exposes is zeroed here.
Result<Attributes> final_attributes(Engine &engine, CachedInode &inode, std::uint64_t end) {
    Attributes changed = inode.attributes;
    engine.touch(changed, touch_mtime | touch_ctime);
    if (end > changed.size) {
        DAXPIN_TRY(zero_written(engine, inode, changed.size, end));
        changed.size = end;
    }
    return changed;
}

Result<void> check_growth(Engine &engine, CachedInode &inode, std::uint64_t end, bool append) {
    DAXPIN_TRY_ASSIGN(const auto state, engine.file_state(inode));
    if (state.immutable_flag || (state.append_flag && !append))
        return Errc::not_permitted;
    if (state.pinned_whole && end > state.size)
        return Errc::pinned;
    return {};
}

Result<void> allocate(Engine &engine, CachedInode &inode, const Request &request, bool keep_size) {
    const std::uint64_t visible_end = keep_size ? 0 : request.end;
    DAXPIN_TRY(check_growth(engine, inode, visible_end, true));
    if (request.end > inode.attributes.size)
        DAXPIN_TRY(finish_truncate(engine, inode));
    DAXPIN_TRY(allocate_range(engine, inode, request.touched()));
    DAXPIN_TRY_ASSIGN(const auto changed, final_attributes(engine, inode, visible_end));
    return commit_attributes(engine, inode, changed);
}

// Zeroes what is written of the bytes [from, to).
Result<void> zero_in_place(Engine &engine, CachedInode &inode, Transaction &tx, std::uint64_t from,
                           std::uint64_t to) {
    if (from >= to)
        return {};
    const FileBlock first = block_at(from);
    DAXPIN_TRY_ASSIGN(
        const auto extents,
        engine.extents(inode.number).range(&tx, first, immutable::end_of(to) - first));
    for (const Extent &extent : extents) {
        const std::uint64_t start = std::max(from, extent.first.bytes());
        const std::uint64_t end = std::min(to, extent.end().bytes());
        if (!extent.unwritten)
            DAXPIN_TRY(store_zeros(engine, extent, start, end - start));
    }
    return {};
}

// Zeroes the parts of the range's first and last block that it does not cover whole. In place, so
// the last thing that a transaction does: then nothing can fail for lack of space.
Result<void> zero_edges(Engine &engine, CachedInode &inode, Transaction &tx,
                        const Request &request) {
    const BlockRange whole = whole_blocks(request);
    if (whole.count.value == 0)
        return zero_in_place(engine, inode, tx, request.offset, request.end);
    DAXPIN_TRY(zero_in_place(engine, inode, tx, request.offset, whole.first.bytes()));
    return zero_in_place(engine, inode, tx, whole.end().bytes(), request.end);
}

Result<void> check_hole_making(Engine &engine, CachedInode &inode, const Request &request) {
    DAXPIN_TRY_ASSIGN(const auto state, engine.file_state(inode));
    DAXPIN_TRY_ASSIGN(const auto *pins, engine.pins(inode));
    if (state.append_flag)
        return Errc::not_permitted;
    return immutable::check_map_change(state, *pins, inode.leases, request.touched());
}

// One transaction of a punch: frees from the beginning of `range`, stores the new times, and zeroes
// the edges of `request`. Returns where to go on.
Result<FileBlock> punch_step(Engine &engine, CachedInode &inode, BlockRange range,
                             const Attributes &times, const Request &request) {
    const StepLimit limit = engine.step_limit();
    FileBlock next = range.end();
    Freeing freeing(engine, &inode);
    DAXPIN_TRY_ASSIGN(
        const auto changed,
        engine.transact(
            [&](Transaction &tx) -> Result<Attributes> {
                freeing.restart();
                tx.units().stores_data();
                Attributes attributes = inode.attributes;
                attributes.mtime_ns = times.mtime_ns;
                attributes.ctime_ns = times.ctime_ns;
                const BlockCount count{std::min(range.count.value, limit.blocks)};
                DAXPIN_TRY_ASSIGN(
                    const auto removed,
                    engine.extents(inode.number).remove(tx, range.first, count, limit.items));
                for (const Extent &gone : removed.extents)
                    DAXPIN_TRY(freeing.free(tx, attributes, gone));
                next = removed.next;
                DAXPIN_TRY(engine.table->store(tx, attributes));
                DAXPIN_TRY(zero_edges(engine, inode, tx, request));
                return attributes;
            },
            alloc::Purpose::rearrange));
    freeing.committed();
    inode.attributes = changed;
    return next;
}

Result<void> punch(Engine &engine, CachedInode &inode, const Request &request) {
    DAXPIN_TRY(check_hole_making(engine, inode, request));
    DAXPIN_TRY(engine.bad_blocks.rewrite(inode, request.offset, request.end));
    if (inode.leases.overlaps(request.touched()))
        inode.leases.map_changed();
    Attributes times = inode.attributes;
    engine.touch(times, touch_mtime | touch_ctime);
    const BlockRange whole = whole_blocks(request);
    FileBlock at = whole.first;
    // Once at least, for the edges and the times.
    for (bool begun = false; !begun || at < whole.end(); begun = true) {
        DAXPIN_TRY_ASSIGN(const auto extent, engine.extents(inode.number).at_or_after(nullptr, at));
        at = extent ? std::clamp(extent->first, at, whole.end()) : whole.end();
        const BlockRange left{at, whole.end() - at};
        DAXPIN_TRY_ASSIGN(at, engine.bad_blocks.around(
                                  [&] { return punch_step(engine, inode, left, times, request); }));
    }
    return {};
}

// Turns the whole blocks of the range that are allocated unwritten, a record's worth of extents at
// a time; the last transaction stores `changed` and zeroes the edges as well. Splits take space,
// and what is cleared is gone: the reserve pays.
Result<void> clear_range(Engine &engine, CachedInode &inode, const Request &request,
                         const Attributes &changed) {
    const BlockRange range = whole_blocks(request);
    const GrowthLimit limit = growth_limit(engine);
    auto map = engine.extents(inode.number);
    FileBlock at = range.first;
    for (bool last = false; !last;) {
        DAXPIN_TRY_ASSIGN(const auto extents, map.range(nullptr, at, range.end() - at, limit.runs));
        last = extents.size() < limit.runs || extents.back().end() >= range.end();
        const FileBlock end = last ? range.end() : extents.back().end();
        DAXPIN_TRY(engine.transact(
            [&](Transaction &tx) -> Result<void> {
                tx.units().stores_data();
                if (at < end)
                    DAXPIN_TRY(map.mark_unwritten(tx, at, end - at));
                if (!last)
                    return {};
                DAXPIN_TRY(engine.table->store(tx, changed));
                return zero_edges(engine, inode, tx, request);
            },
            alloc::Purpose::rearrange));
        at = end;
    }
    inode.attributes = changed;
    return {};
}

Result<void> zero(Engine &engine, CachedInode &inode, const Request &request, bool keep_size) {
    const std::uint64_t visible_end = keep_size ? 0 : request.end;
    DAXPIN_TRY(check_growth(engine, inode, visible_end, false));
    DAXPIN_TRY(check_hole_making(engine, inode, request));
    if (request.end > inode.attributes.size)
        DAXPIN_TRY(finish_truncate(engine, inode));
    DAXPIN_TRY(allocate_range(engine, inode, request.touched()));
    DAXPIN_TRY(engine.bad_blocks.rewrite(inode, request.offset, request.end));
    DAXPIN_TRY_ASSIGN(const auto changed, final_attributes(engine, inode, visible_end));
    if (inode.leases.overlaps(request.touched()))
        inode.leases.map_changed();
    return engine.bad_blocks.around([&] { return clear_range(engine, inode, request, changed); });
}

} // namespace

Result<void> Volume::fallocate(InodeNumber number, Handle handle, FallocateMode mode,
                               std::uint64_t offset, std::uint64_t length) {
    Engine &engine = *engine_;
    DAXPIN_TRY_ASSIGN(const auto change, engine.begin_change());
    DAXPIN_TRY_ASSIGN(const InodeRef inode, engine.get_regular(number));
    if (length == 0)
        return Errc::invalid;
    if (offset > immutable::file_size_max || length > immutable::file_size_max - offset)
        return Errc::file_too_big;
    const ExclusiveLock lock(inode->mutex);
    DAXPIN_TRY(check_writer(*inode, handle));
    const Request request{offset, offset + length};
    switch (mode) {
    case FallocateMode::allocate:
        return allocate(engine, *inode, request, false);
    case FallocateMode::allocate_keep_size:
        return allocate(engine, *inode, request, true);
    case FallocateMode::punch:
        return punch(engine, *inode, request);
    case FallocateMode::zero:
        return zero(engine, *inode, request, false);
    case FallocateMode::zero_keep_size:
        return zero(engine, *inode, request, true);
    }
    return Errc::invalid;
}

} // namespace daxpin::volume
