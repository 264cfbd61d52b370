// SPDX-License-Identifier: BSD-3-Clause
//
// Homes: what transactions stored home with cached stores, until a checkpoint flushes it.
#pragma once

#include "device/device_table.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>

namespace daxpin::journal {

struct Home {
    MediaBlock unit;
    std::uint64_t lines; // lines_of()
};
// May hold those of all records in the ring: up to 16 bytes for each entry.
using Homes = std::deque<Home>;

// Adds those of a record, which is sound. ERRORS: std::bad_alloc; some may have been added.
void add_homes(std::span<const std::byte> record, Homes &homes);

// Takes off the first `count`. ERRORS: std::bad_alloc, and nothing was taken.
Homes take_homes(Homes &homes, std::size_t count);

// Each line once, mostly, though many records have it. To be followed by drain().
void flush_homes(const device::DeviceTable &devices, const Homes &homes);

} // namespace daxpin::journal
