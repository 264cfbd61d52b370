// SPDX-License-Identifier: BSD-3-Clause
//
// Extents that fit a mapping: finding out, and making them.
#include "volume/pin_prepare.h"

#include <algorithm>

namespace daxpin::volume {
namespace {

constexpr std::uint64_t copy_bytes = std::uint64_t{256} << 10;

// Whether the extent lies on media as in the file, modulo `unit` blocks.
bool is_congruent(const Extent &extent, std::uint64_t unit) {
    return extent.first.value % unit == extent.start.block() % unit;
}

bool continues_on_media(const Extent &left, const Extent &right) {
    return left.end() == right.first && left.start + left.count == right.start;
}

BlockRange unit_of(FileBlock block, std::uint64_t unit) {
    return {{block.value / unit * unit}, {unit}};
}

// Whether all extents of a unit are where one mapping of it would want them.
bool lie_together(const std::vector<Extent> &extents, std::uint64_t unit) {
    const auto media_unit = [&](const Extent &extent) {
        return MediaBlock{extent.start.value - extent.first.value % unit};
    };
    return std::ranges::all_of(extents, [&](const Extent &extent) {
        return is_congruent(extent, unit) && media_unit(extent) == media_unit(extents.front());
    });
}

BlockCount allocated(const std::vector<Extent> &extents) {
    BlockCount sum;
    for (const Extent &extent : extents)
        sum += extent.count;
    return sum;
}

// Prepares one unit (or, if any block will do, one window of blocks) of a file.
class UnitPreparation {
  public:
    UnitPreparation(Engine &engine, CachedInode &inode, alloc::Reservation &reservation)
        : engine_(engine), inode_(inode), reservation_(reservation) {}

    // Fills holes and unwritten extents of `range`, wherever there is room.
    Result<void> fill(BlockRange range);
    // Makes `unit` one aligned run, of which `wanted` must be written.
    Result<void> align(BlockRange unit, BlockRange wanted);

  private:
    template <typename Body> Result<void> step(Body &&body);
    struct Filled {
        FileBlock end; // of what was looked at
        bool any = false;
    };
    Result<Filled> fill_some(Transaction &tx, Attributes &attributes, BlockRange range);
    Result<void> fill_hole(Transaction &tx, Attributes &attributes, FileBlock &at, BlockCount left);
    Result<void> write_zeros(Transaction &tx, const Extent &extent);
    Result<void> may_move(BlockRange unit);
    Result<void> move(Transaction &tx, Attributes &attributes, BlockRange unit,
                      const std::vector<Extent> &old);
    Result<void> copy(const Extent &from, const Extent &to);

    Engine &engine_;
    CachedInode &inode_;
    alloc::Reservation &reservation_;
    Freeing freeing_{engine_}; // nobody leases what moves
};

// One transaction that changes the map and nothing a reader can see.
template <typename Body> Result<void> UnitPreparation::step(Body &&body) {
    DAXPIN_TRY_ASSIGN(const auto changed, engine_.transact(
                                              [&](Transaction &tx) -> Result<Attributes> {
                                                  freeing_.restart();
                                                  tx.units().stores_data();
                                                  Attributes attributes = inode_.attributes;
                                                  DAXPIN_TRY(body(tx, attributes));
                                                  DAXPIN_TRY(engine_.table->store(tx, attributes));
                                                  return attributes;
                                              },
                                              alloc::Purpose::ordinary, &reservation_));
    freeing_.committed();
    inode_.attributes = changed;
    return {};
}

// Turns an unwritten extent into one of zeros.
Result<void> UnitPreparation::write_zeros(Transaction &tx, const Extent &extent) {
    DAXPIN_TRY(store_zeros(engine_, extent, extent.first.bytes(), extent.count.bytes()));
    return engine_.extents(inode_.number).mark_written(tx, extent.first, extent.count);
}

Result<void> UnitPreparation::fill_hole(Transaction &tx, Attributes &attributes, FileBlock &at,
                                        BlockCount left) {
    DAXPIN_TRY_ASSIGN(const Extent run,
                      allocate_hole(engine_, inode_, tx, {at, left, block_size, Content::zeros}));
    if (run.unwritten)
        DAXPIN_TRY(store_zeros(engine_, run, run.first.bytes(), run.count.bytes()));
    DAXPIN_TRY(insert_run(engine_, tx, attributes, run, run.first, run.end(), false));
    at = run.end();
    return {};
}

Result<UnitPreparation::Filled> UnitPreparation::fill_some(Transaction &tx, Attributes &attributes,
                                                           BlockRange range) {
    const GrowthLimit limit = growth_limit(engine_);
    range.count = std::min(range.count, BlockCount{limit.blocks});
    FileBlock at = range.first;
    std::size_t runs = 0;
    while (at < range.end() && runs < limit.runs) {
        DAXPIN_TRY_ASSIGN(const auto found,
                          engine_.extents(inode_.number).range(&tx, at, range.end() - at, 1));
        if (found.empty() || found[0].first > at) {
            const FileBlock end = found.empty() ? range.end() : found[0].first;
            DAXPIN_TRY(fill_hole(tx, attributes, at, end - at));
            ++runs;
            continue;
        }
        if (found[0].unwritten) {
            DAXPIN_TRY(write_zeros(tx, found[0]));
            ++runs;
        }
        at = found[0].end();
    }
    return Filled{at, runs > 0};
}

Result<void> UnitPreparation::fill(BlockRange range) {
    FileBlock at = range.first;
    while (at < range.end()) {
        const BlockRange left{at, range.end() - at};
        Filled filled;
        DAXPIN_TRY(step([&](Transaction &tx, Attributes &attributes) -> Result<void> {
            DAXPIN_TRY_ASSIGN(filled, fill_some(tx, attributes, left));
            return {};
        }));
        if (filled.any && inode_.leases.overlaps(left)) // over a hole made under it
            inode_.leases.map_changed();
        at = filled.end;
    }
    return {};
}

Result<void> UnitPreparation::may_move(BlockRange unit) {
    if (inode_.leases.overlaps(unit))
        return Errc::busy;
    DAXPIN_TRY_ASSIGN(const auto *pins, engine_.pins(inode_));
    for (const BlockRange &pin : *pins)
        if (pin.overlaps(unit))
            return Errc::pinned;
    return {};
}

Result<void> UnitPreparation::copy(const Extent &from, const Extent &to) {
    DAXPIN_TRY(engine_.bad_blocks.check(from, from.first.bytes(), from.count.bytes()));
    std::vector<std::byte> buffer(std::min(from.count.bytes(), copy_bytes));
    for (std::uint64_t done = 0; done < from.count.bytes(); done += buffer.size()) {
        const auto piece = std::span(buffer).first(
            std::min<std::uint64_t>(buffer.size(), from.count.bytes() - done));
        DAXPIN_TRY(engine_.devices.read(from.start, done, piece));
        DAXPIN_TRY(store_data(engine_, to, from.first.bytes() + done, piece));
    }
    return {};
}

// Takes a new aligned run, fills it with the unit's data and zeros, and frees the old blocks.
Result<void> UnitPreparation::move(Transaction &tx, Attributes &attributes, BlockRange unit,
                                   const std::vector<Extent> &old) {
    auto map = engine_.extents(inode_.number);
    DAXPIN_TRY_ASSIGN(const MediaBlock goal, goal_for(engine_, inode_, tx, unit.first));
    DAXPIN_TRY_ASSIGN(
        const Extent fresh,
        allocate_run(tx, unit.first, {unit.count, unit.count.bytes(), goal}, Content::zeros));
    const auto zero = [&](std::uint64_t from, std::uint64_t to) -> Result<void> {
        return fresh.unwritten ? store_zeros(engine_, fresh, from, to - from) : Result<void>{};
    };
    std::uint64_t at = unit.first.bytes();
    for (const Extent &extent : old) {
        if (extent.unwritten)
            continue;
        DAXPIN_TRY(zero(at, extent.first.bytes()));
        DAXPIN_TRY(copy(extent, fresh));
        at = extent.end().bytes();
    }
    DAXPIN_TRY(zero(at, unit.end().bytes()));
    DAXPIN_TRY_ASSIGN(const auto removed, map.remove(tx, unit.first, unit.count));
    for (const Extent &gone : removed.extents)
        DAXPIN_TRY(freeing_.free(tx, attributes, gone));
    return insert_run(engine_, tx, attributes, fresh, unit.first, unit.end(), false);
}

Result<void> UnitPreparation::align(BlockRange unit, BlockRange wanted) {
    DAXPIN_TRY_ASSIGN(const auto old,
                      engine_.extents(inode_.number).range(nullptr, unit.first, unit.count));
    const FileBlock first = std::max(unit.first, wanted.first);
    const BlockRange needed{first, std::min(unit.end(), wanted.end()) - first};
    DAXPIN_TRY_ASSIGN(const auto there,
                      engine_.extents(inode_.number).range(nullptr, needed.first, needed.count));
    if (lie_together(there, unit.count.value) && allocated(there) == needed.count)
        return fill(needed); // only unwritten blocks, if any
    DAXPIN_TRY(may_move(unit));
    return step(
        [&](Transaction &tx, Attributes &attributes) { return move(tx, attributes, unit, old); });
}

} // namespace

std::uint64_t mapping_align(const Engine &engine, std::uint64_t asked) {
    return std::max({asked, engine.mapping_unit, std::uint64_t{block_size}});
}

Result<bool> fits_mapping(Engine &engine, CachedInode &inode, BlockRange range,
                          std::uint64_t align) {
    const std::uint64_t unit = align / block_size;
    FileBlock at = range.first;
    Extent before{};
    while (at < range.end()) {
        DAXPIN_TRY_ASSIGN(const auto extents,
                          engine.extents(inode.number).range(nullptr, at, range.end() - at, 256));
        for (const Extent &extent : extents) {
            const bool inside_unit = extent.first != range.first && extent.first.value % unit != 0;
            if (extent.first != at || extent.unwritten || !is_congruent(extent, unit) ||
                (inside_unit && !continues_on_media(before, extent)))
                return false;
            before = extent;
            at = extent.end();
        }
        if (extents.empty())
            return false;
    }
    return true;
}

Result<void> prepare_locked(Engine &engine, CachedInode &inode, BlockRange range,
                            std::uint64_t align, alloc::Reservation &reservation) {
    UnitPreparation preparation(engine, inode, reservation);
    const std::uint64_t unit = align / block_size;
    if (unit == 1)
        return preparation.fill(range);
    for (FileBlock at = range.first; at < range.end(); at = unit_of(at, unit).end())
        DAXPIN_TRY(preparation.align(unit_of(at, unit), range));
    return {};
}

Result<alloc::Reservation> reserve_for(Engine &engine, CachedInode &inode, BlockRange range,
                                       std::uint64_t align) {
    const std::uint64_t unit = align / block_size;
    const FileBlock first = unit_of(range.first, unit).first;
    const FileBlock end = immutable::end_of(range.end().bytes(), align);
    DAXPIN_TRY_ASSIGN(const auto extents,
                      engine.extents(inode.number).range(nullptr, first, end - first));
    const BlockCount missing = (end - first) - allocated(extents);
    DAXPIN_TRY_ASSIGN(const bool fits, fits_mapping(engine, inode, range, align));
    // What moves needs its new place before the old one comes back.
    const BlockCount in_transit{unit > 1 && !fits && !extents.empty() ? unit : 0};
    return engine.reserve(fits ? BlockCount{} : missing + in_transit);
}

} // namespace daxpin::volume
