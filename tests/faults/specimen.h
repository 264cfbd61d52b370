// SPDX-License-Identifier: BSD-3-Clause
//
// Specimen: a small, undamaged volume of everything, and where its metadata stands.
//
// Repeats itself exactly: same shape and seed, same bytes.
#pragma once

#include "crash/dump.h"
#include "support/sim_device.h"

#include <map>
#include <set>

namespace daxpin::faults {

// What the daemon did before the damage came.
enum class State {
    unmounted, // nothing to replay
    crashed    // records in the ring that are not at home, and a deletion not finished
};

struct Shape {
    State state = State::unmounted;
    unsigned data_devices = 0; // 0: one device for everything
};
std::string to_string(const Shape &shape); // "crashed, two devices"

// What a byte of metadata belongs to.
enum class Place : std::uint8_t { label, superblock, tail_cell, record, bitmap, node, blob };
inline constexpr unsigned place_count = 7;
const char *to_string(Place place) noexcept;

struct Span {
    Place place;
    unsigned device;
    std::uint64_t offset; // bytes of the device
    std::uint64_t length;
    // The inodes that have something here, or below it in the tree; of a record: in the blocks
    // that it changes.
    std::set<std::uint64_t> inodes = {};
    bool overlaps(unsigned on, std::uint64_t begin, std::uint64_t bytes) const {
        return device == on && offset < begin + bytes && begin < offset + length;
    }
};

// What the volume was at an earlier moment.
struct Earlier {
    std::string name; // "before the files were made"
    std::vector<crash::Bytes> images;
    crash::Dump dump;
    std::vector<Span> in_use; // by then
};

struct Specimen {
    std::string name;                      // that of its shape
    std::vector<test::SimOptions> options; // each device: 1 MiB
    std::vector<crash::Bytes> images;
    crash::Dump dump; // what a mount shows
    // All metadata in use, in order: what docs/format.md gives a meaning. Of the ring the records
    // that count but the newest, whose damage cannot be told from a tear.
    std::vector<Span> in_use;
    Span newest{};                // the record left out; length 0: there is none
    std::vector<Earlier> earlier; // oldest first
};

Specimen make_specimen(const Shape &shape, std::uint64_t seed);

} // namespace daxpin::faults
