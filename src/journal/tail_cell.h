// SPDX-License-Identifier: BSD-3-Clause
//
// The tail cell: where recovery starts, and the epoch's secret, in two copies.
//
// Update A, drain, B, drain; the valid copy with the higher counter rules.
// Layout: docs/format.md, "Tail cell".
#pragma once

#include "journal/journal.h"

namespace daxpin::journal {

struct TailState {
    std::uint64_t counter = 0;
    Sequence tail = 0;
    HashKey epoch{};
    friend bool operator==(const TailState &, const TailState &) = default;
};

struct TailCells {
    TailState ruling;
    bool both_agree; // else recovery restores the other copy first
};

// ERRORS: corrupt if neither copy is valid.
Result<TailCells> read_tail_cells(const device::DeviceTable &devices, const Geometry &geometry);

Result<void> write_tail_cell_copies(const device::DeviceTable &devices, const Geometry &geometry,
                                    const TailState &state);

} // namespace daxpin::journal
