// SPDX-License-Identifier: BSD-3-Clause
//
// Specimen: a small, undamaged volume of everything, and where its metadata stands.
//
// Repeats itself exactly: same state and seed, same bytes.
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
const char *to_string(State state) noexcept;

// What a byte of metadata belongs to.
enum class Place : std::uint8_t { label, superblock, tail_cell, record, bitmap, node, blob };
inline constexpr unsigned place_count = 7;
const char *to_string(Place place) noexcept;

// Bytes of device 0.
struct Span {
    Place place;
    std::uint64_t offset;
    std::uint64_t length;
};

struct Specimen {
    std::string name;
    std::vector<test::SimOptions> options; // one device: 1 MiB
    std::vector<crash::Bytes> images;
    crash::Dump dump; // what a mount shows
    // All metadata in use, in order: what docs/format.md gives a meaning. Of the ring the records
    // that count but the newest, whose damage cannot be told from a tear.
    std::vector<Span> in_use;
    Span newest{}; // the record left out; length 0: there is none
    // By block of device 0: the inodes that have something in it, or below it in the tree.
    std::map<std::uint64_t, std::set<std::uint64_t>> inodes_in;
};

Specimen make_specimen(State state, std::uint64_t seed);

} // namespace daxpin::faults
