// SPDX-License-Identifier: BSD-3-Clause
#include "volume/file_data.h"

#include "base/assert.h"

#include <algorithm>

namespace daxpin::volume {
namespace {

// Below this many bytes a store goes through the cache: the line is likely to be there already.
constexpr std::size_t nontemporal_bytes_min = 256;

// A record holds at least the bitmap's bits and a tree item for each run; node splits on top.
constexpr std::uint64_t record_bytes_of_splits = 6000;
constexpr std::uint64_t record_bytes_of_run = 200;

// Whether the whole piece of the file is a hole.
Result<bool> is_hole(Engine &engine, CachedInode &inode, Transaction &tx, FileBlock first,
                     BlockCount count) {
    DAXPIN_TRY_ASSIGN(const auto found, engine.extents(inode.number).range(&tx, first, count, 1));
    return found.empty();
}

} // namespace

GrowthLimit growth_limit(const Engine &engine) {
    const std::uint64_t record = engine.journal->geometry().record_bytes_max();
    const std::uint64_t room =
        record > record_bytes_of_splits ? record - record_bytes_of_splits : 0;
    return {std::clamp<std::uint64_t>(room / record_bytes_of_run, 1, 1024), record * 2};
}

Result<void> store_data(Engine &engine, const Extent &extent, std::uint64_t offset,
                        std::span<const std::byte> data) {
    const std::uint64_t within = offset - extent.first.bytes();
    DAXPIN_ASSERT(offset >= extent.first.bytes() && within + data.size() <= extent.count.bytes());
    DAXPIN_TRY(engine.bad_blocks.check(extent, offset, data.size()));
    if (data.size() >= nontemporal_bytes_min)
        return engine.devices.copy(extent.start, within, data, device::StoreKind::nontemporal);
    DAXPIN_TRY(engine.devices.copy(extent.start, within, data, device::StoreKind::cached));
    engine.devices.flush(extent.start, within, data.size());
    return {};
}

Result<void> store_zeros(Engine &engine, const Extent &extent, std::uint64_t offset,
                         std::uint64_t length) {
    const std::uint64_t within = offset - extent.first.bytes();
    DAXPIN_ASSERT(offset >= extent.first.bytes() && within + length <= extent.count.bytes());
    if (length == 0)
        return {};
    DAXPIN_TRY(engine.bad_blocks.check(extent, offset, length));
    return engine.devices.set(extent.start, within, std::byte{0}, length,
                              device::StoreKind::nontemporal);
}

Result<bool> zero_written(Engine &engine, CachedInode &inode, std::uint64_t from,
                          std::uint64_t to) {
    bool any = false;
    while (from < to) {
        DAXPIN_TRY_ASSIGN(const auto extent,
                          engine.extents(inode.number).at_or_after(nullptr, block_at(from)));
        if (!extent || extent->first.bytes() >= to)
            break;
        const std::uint64_t start = std::max(from, extent->first.bytes());
        const std::uint64_t end = std::min(to, extent->end().bytes());
        if (!extent->unwritten) {
            DAXPIN_TRY(engine.bad_blocks.around([&]() -> Result<void> {
                DAXPIN_TRY(engine.bad_blocks.rewrite(inode, *extent, start, end, {}));
                return store_zeros(engine, *extent, start, end - start);
            }));
            any = true;
        }
        from = end;
    }
    return any;
}

Result<void> commit_attributes(Engine &engine, CachedInode &inode, const Attributes &changed,
                               alloc::Purpose purpose) {
    DAXPIN_TRY(engine.transact(
        [&](Transaction &tx) {
            tx.units().stores_data();
            return engine.table->store(tx, changed);
        },
        purpose));
    inode.attributes = changed;
    return {};
}

Result<void> finish_truncate(Engine &engine, CachedInode &inode) {
    while (inode.truncating) {
        DAXPIN_TRY_ASSIGN(const auto work, engine.unfinished->find(nullptr, inode.number));
        if (!work) {
            inode.truncating = false;
            break;
        }
        auto step = *work;
        if (step.kind == format::UnfinishedKind::remove) // it lost its last name meanwhile
            step.from = immutable::end_of(inode.attributes.size, owned_unit(engine, inode));
        DAXPIN_TRY(engine.truncate_step(inode, step));
    }
    return {};
}

std::uint64_t owned_unit(const Engine &engine, const CachedInode &inode) {
    const bool mapped = !inode.leases.empty() || (inode.pins && !inode.pins->empty());
    return mapped ? engine.mapping_unit : block_size;
}

std::uint64_t hinted_align(const Engine &engine, const Attributes &attributes) {
    std::uint64_t hint = std::max<std::uint64_t>(attributes.align_hint, block_size);
    if (attributes.flags & format::inode_flag_dax)
        hint = std::max(hint, engine.mapping_unit);
    // A hint larger than one transaction can allocate is ignored.
    return hint / block_size <= growth_limit(engine).blocks ? hint : block_size;
}

// A file of so many blocks is likely to get more.
static constexpr FileBlock growing_from{16};

Result<MediaBlock> goal_for(Engine &engine, CachedInode &inode, Transaction &tx, FileBlock first) {
    if (first.value == 0)
        return MediaBlock{};
    DAXPIN_TRY_ASSIGN(const auto before,
                      engine.extents(inode.number).range(&tx, {first.value - 1}, {1}, 1));
    return before.empty() ? MediaBlock{} : before[0].start + BlockCount{1};
}

Result<Extent> allocate_run(Transaction &tx, FileBlock first, const alloc::DataRequest &request,
                            Content content) {
    if (content == Content::zeros) {
        DAXPIN_TRY_ASSIGN(const auto run, tx.allocate_zeroed(request));
        if (run.count.value != 0)
            return Extent{first, run.start, run.count, false};
    }
    DAXPIN_TRY_ASSIGN(const auto run, tx.allocate_data(request));
    return Extent{first, run.start, run.count, true};
}

Result<Extent> allocate_hole(Engine &engine, CachedInode &inode, Transaction &tx,
                             const Hole &hole) {
    const std::uint64_t unit = hole.align / block_size;
    const FileBlock start{hole.first.value / unit * unit};
    const BlockCount before = hole.first - start;
    if (unit > 1) {
        DAXPIN_TRY_ASSIGN(const bool free, is_hole(engine, inode, tx, start, {unit}));
        if (free) {
            // As many whole pieces as the hole has behind this one.
            DAXPIN_TRY_ASSIGN(const auto next,
                              engine.extents(inode.number).at_or_after(&tx, hole.first));
            std::uint64_t wanted = (before + hole.count).value;
            wanted = (wanted + unit - 1) / unit * unit;
            if (next)
                wanted = std::min(wanted, (next->first - start).value / unit * unit);
            DAXPIN_TRY_ASSIGN(const auto goal, goal_for(engine, inode, tx, start));
            return allocate_run(tx, start, {{wanted}, hole.align, goal}, hole.content);
        }
    }
    // Not beyond the piece, for the next one may be free and then comes as a whole.
    const std::uint64_t left = unit > 1 ? unit - before.value : hole.count.value;
    DAXPIN_TRY_ASSIGN(const auto goal, goal_for(engine, inode, tx, hole.first));
    const BlockCount wanted{std::min(hole.count.value, left)};
    const bool grows = hole.first >= growing_from;
    return allocate_run(tx, hole.first, {wanted, 0, goal, grows}, hole.content);
}

Result<void> insert_run(Engine &engine, Transaction &tx, Attributes &attributes, const Extent &run,
                        FileBlock first, FileBlock end, bool unwritten) {
    auto map = engine.extents(attributes.number);
    const auto insert = [&](FileBlock from, FileBlock to, bool flag) -> Result<void> {
        if (from >= to)
            return {};
        return map.insert(tx, {from, run.start + (from - run.first), to - from, flag});
    };
    attributes.block_count += run.count.value;
    first = std::clamp(first, run.first, run.end());
    end = std::clamp(end, first, run.end());
    if (unwritten)
        return insert(run.first, run.end(), true);
    DAXPIN_TRY(insert(run.first, first, true));
    DAXPIN_TRY(insert(first, end, false));
    return insert(end, run.end(), true);
}

const OpenFile *find_handle(const CachedInode &inode, Handle handle) {
    const auto found = inode.handles.find(handle);
    return found == inode.handles.end() ? nullptr : &found->second;
}

Result<void> check_writer(const CachedInode &inode, Handle handle) {
    if (handle == 0)
        return {};
    const OpenFile *file = find_handle(inode, handle);
    if (file == nullptr || !file->write)
        return Errc::bad_handle;
    return {};
}

} // namespace daxpin::volume
