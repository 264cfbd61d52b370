// SPDX-License-Identifier: BSD-3-Clause
#include "journal/tail_cell.h"

#include "format/sequence.h"

#include <algorithm>
#include <array>
#include <optional>

namespace daxpin::journal {

namespace {

using format::TailCell;

std::uint32_t cell_crc(const TailCell &cell) {
    return crc32c(std::as_bytes(std::span(&cell, 1)).first(offsetof(TailCell, crc)));
}

std::optional<TailState> read_copy(const device::DeviceTable &devices, std::uint64_t block) {
    TailCell cell;
    if (!devices.read(MediaBlock::at(0, block), 0, std::as_writable_bytes(std::span(&cell, 1))))
        return std::nullopt; // unreadable: the other copy must serve
    if (cell.magic != format::tail_cell_magic || cell.crc != cell_crc(cell) ||
        cell.tail % format::record_align != 0 || cell.tail >= format::tail_limit)
        return std::nullopt;
    TailState state{cell.counter, cell.tail, {}};
    std::memcpy(state.epoch.data(), cell.epoch, state.epoch.size());
    return state;
}

Result<void> write_copy(const device::DeviceTable &devices, std::uint64_t block,
                        const TailCell &cell) {
    const auto at = MediaBlock::at(0, block);
    const auto bytes = std::as_bytes(std::span(&cell, 1));
    const auto stored = devices.copy(at, 0, bytes, device::StoreKind::nontemporal);
    if (stored)
        return devices.metadata().drain();
    if (stored.code() != Errc::io)
        return stored.error();
    // A bad block takes new bytes only as a whole. What is behind the cell is nobody's.
    std::array<std::byte, block_size> whole{};
    std::ranges::copy(bytes, whole.begin());
    DAXPIN_TRY(devices.rewrite(at, whole));
    devices.bad_blocks().erase_unless_listed(at);
    return {};
}

} // namespace

Result<TailCells> read_tail_cells(const device::DeviceTable &devices, const Geometry &geometry) {
    const auto a = read_copy(devices, geometry.tail_cell_a);
    const auto b = read_copy(devices, geometry.tail_cell_b);
    if (!a && !b)
        return Error{Errc::corrupt, "both copies of the journal's tail cell are damaged: run "
                                    "fsck.daxpinfs"};
    if (!a || !b)
        return TailCells{a ? *a : *b, false};
    if (a->counter == b->counter && *a != *b)
        return Error{Errc::corrupt, "the copies of the journal's tail cell contradict each other: "
                                    "run fsck.daxpinfs"};
    return TailCells{a->counter >= b->counter ? *a : *b, a->counter == b->counter};
}

Result<void> write_tail_cell_copies(const device::DeviceTable &devices, const Geometry &geometry,
                                    const TailState &state) {
    TailCell cell{};
    cell.magic = format::tail_cell_magic;
    cell.counter = state.counter;
    cell.tail = state.tail;
    std::memcpy(cell.epoch, state.epoch.data(), state.epoch.size());
    cell.crc = cell_crc(cell);
    DAXPIN_TRY(write_copy(devices, geometry.tail_cell_a, cell));
    return write_copy(devices, geometry.tail_cell_b, cell);
}

} // namespace daxpin::journal
