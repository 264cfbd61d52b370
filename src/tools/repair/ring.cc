// SPDX-License-Identifier: BSD-3-Clause
//
// write_records_home(): the part of a damaged journal that can be had.
#include "format/sequence.h"
#include "journal/journal.h"
#include "journal/tail_cell.h"
#include "tools/reader/view.h"
#include "tools/repair/copies.h"

#include <algorithm>
#include <map>

namespace daxpin::repair {
namespace {

using reader::Patch;
using reader::UnitBytes;

// The cell to go by. Of two that contradict each other with equal counters, the one whose ring
// can be read.
std::optional<format::TailCell> choose_cell(const device::DeviceTable &devices,
                                            const format::Superblock &superblock) {
    const auto cells = reader::read_tail_cells(devices.metadata(), superblock);
    const auto *ruling = reader::ruling_cell(cells);
    if (ruling == nullptr)
        return std::nullopt;
    if (!cells.first.valid() || !cells.second.valid() ||
        cells.first.value.counter != cells.second.value.counter)
        return *ruling;
    const auto walk = [&](const format::TailCell &cell) {
        HashKey epoch;
        std::ranges::copy(cell.epoch, epoch.begin());
        reader::Ring ring(devices.metadata(), superblock.ring_start, superblock.ring_blocks, epoch);
        return ring.walk(cell.tail);
    };
    const auto a = walk(cells.first.value);
    const auto b = walk(cells.second.value);
    const bool second = a.damage.empty() == b.damage.empty() ? b.records.size() > a.records.size()
                                                             : b.damage.empty();
    return second ? cells.second.value : cells.first.value;
}

bool is_unit(const UnitBytes &bytes) {
    return reader::unit_checksum_holds(bytes);
}

class HomeWriter {
  public:
    HomeWriter(device::DeviceTable &devices, const reader::Ring &ring,
               std::vector<Patch> before_damage, const std::vector<Patch> &behind)
        : devices_(devices), ring_(ring), count_before_(before_damage.size()),
          patches_(std::move(before_damage)) {
        patches_.insert(patches_.end(), behind.begin(), behind.end());
        for (std::size_t i = 0; i < patches_.size(); ++i)
            by_unit_[patches_[i].block].push_back(i);
    }

    template <typename Allowed> Result<void> write(Allowed allowed) {
        for (const auto &[block, patches] : by_unit_) {
            UnitBytes home;
            if (!allowed(MediaBlock{block}) || !devices_.read(MediaBlock{block}, 0, home))
                continue;
            const auto content = choose(home, patches);
            if (content == home)
                continue;
            DAXPIN_TRY(
                devices_.copy(MediaBlock{block}, 0, content, device::StoreKind::nontemporal));
        }
        return devices_.metadata().drain();
    }

  private:
    UnitBytes laid_over(UnitBytes bytes, const std::vector<std::size_t> &patches,
                        std::size_t end) const {
        for (const std::size_t i : patches) {
            const Patch &patch = patches_[i];
            // What cannot be read any more leaves a checksum that does not hold.
            if (i < end)
                static_cast<void>(
                    ring_.read(patch.seat, std::span(bytes).subspan(patch.offset, patch.length))
                        .has_value());
        }
        return bytes;
    }

    UnitBytes choose(const UnitBytes &home, const std::vector<std::size_t> &patches) const {
        auto newest = laid_over(home, patches, patches_.size());
        if (is_unit(newest))
            return newest;
        if (is_unit(home))
            return home;
        const auto older = laid_over(home, patches, count_before_);
        if (is_unit(older))
            return older;
        const auto bit = reader::flipped_bit(newest);
        if (!bit)
            return home;
        newest[*bit / 8] ^= std::byte{1} << (*bit % 8);
        return newest;
    }

    device::DeviceTable &devices_;
    const reader::Ring &ring_;
    std::size_t count_before_;
    std::vector<Patch> patches_;
    std::map<std::uint64_t, std::vector<std::size_t>> by_unit_;
};

// A recovery reads the whole ring, and a bad block takes new bytes only as a whole.
Result<void> clear_unreadable(device::DeviceTable &devices, const format::Superblock &superblock) {
    constexpr UnitBytes zeros{};
    UnitBytes bytes;
    for (std::uint64_t i = 0; i < superblock.ring_blocks; ++i) {
        const auto block = MediaBlock::at(0, superblock.ring_start + i);
        if (devices.read(block, 0, bytes))
            continue;
        DAXPIN_TRY(devices.rewrite(block, zeros));
        devices.bad_blocks().erase_unless_listed(block);
    }
    return {};
}

} // namespace

Result<void> write_records_home(device::DeviceTable &devices, const format::Superblock &superblock,
                                const std::vector<MediaRun> &not_units, Env &env) {
    const auto geometry = journal::geometry_of(superblock);
    journal::TailState state{.counter = 1, .tail = 0, .epoch = {}};
    if (const auto cell = choose_cell(devices, superblock)) {
        HashKey epoch;
        std::ranges::copy(cell->epoch, epoch.begin());
        reader::Ring ring(devices.metadata(), superblock.ring_start, superblock.ring_blocks, epoch);
        const auto walk = ring.walk(cell->tail);
        HomeWriter writer(devices, ring, walk.patches, ring.patches_beyond(walk, cell->tail));
        DAXPIN_TRY(writer.write([&](MediaBlock block) {
            return block.device() == 0 && geometry.may_be_unit(block.block()) &&
                   std::ranges::none_of(not_units, [&](const MediaRun &run) {
                       return block >= run.start && block < run.start + run.count;
                   });
        }));
        state.counter = cell->counter + 1;
        state.tail = cell->tail + ring.bytes(); // behind every record that there may be
        if (state.tail >= format::tail_limit)
            state.tail = 0; // of a forged cell; no record is of the new epoch
    }
    env.random(state.epoch);
    DAXPIN_TRY(journal::write_tail_cell_copies(devices, geometry, state));
    return clear_unreadable(devices, superblock); // nothing in the ring is needed any more
}

} // namespace daxpin::repair
