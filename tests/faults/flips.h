// SPDX-License-Identifier: BSD-3-Clause
//
// Faults of a specimen's metadata, one at a time, and what is done about each: the enumerator.
//
// A trial is told of a fault that was just made on media, does with the volume what it likes, and
// says how it ended. Trials run in child processes, so one that crashes or hangs is a problem of
// its fault and no more.
//
//     const auto specimen = make_specimen({State::unmounted}, 1);
//     const auto tally = run(specimen, every_bit(specimen), {{"repaired"}, repair_and_check}, {});
#pragma once

#include "crash/scratch.h"
#include "faults/specimen.h"

#include <functional>

namespace daxpin::faults {

enum class Damage : std::uint8_t {
    flip,    // of one bit
    zeros,   // all that follow: of whole ranges
    ones,    //
    garbage, // by the fault's own place
    older    // of a whole block: what stood there at an earlier moment
};

struct Fault {
    Place place;
    Damage damage;
    std::uint8_t which;   // flip: the bit, 0 to 7; older: index of the moment
    std::uint32_t length; // bytes; flip: 1
    unsigned device;
    std::uint64_t offset; // on the device
};
// "node at block 36, byte 100 (--at 0:147556), bit 3"
std::string to_string(const Specimen &specimen, const Fault &fault);

// Each bit of everything in use, in order of place on the device.
std::vector<Fault> every_bit(const Specimen &specimen);
// Each aligned piece of `bytes` (64 or 4096) with something in use, once with each damage of whole
// ranges. Left out are pieces of which nothing would change, and those with bytes of the newest
// record: all of the ring's end may be lost with them, as in a tear.
std::vector<Fault> every_piece(const Specimen &specimen, std::uint32_t bytes);
// Each block with something in use as it was at each earlier moment, if it was different; left
// out are those with bytes of the newest record.
std::vector<Fault> every_older_block(const Specimen &specimen);

// The inodes that the fault may concern: those that have something in what it hit, or below; of an
// older copy also those that had, then.
std::set<std::uint64_t> inodes_hit(const Specimen &specimen, const Fault &fault);

// Makes the fault on media that hold the specimen.
void apply(const Specimen &specimen, const Fault &fault, crash::Scratch &scratch);

struct Verdict {
    unsigned outcome = 0; // index into Trial::outcomes
    std::string problem;  // in one line; empty if the outcome is one that may be
};

struct Trial {
    std::vector<std::string> outcomes; // their names, at most 16
    // Called in a child, with the fault made. Scratch is restored afterwards.
    std::function<Verdict(crash::Scratch &, const Fault &)> run;
};

struct RunOptions {
    unsigned workers = 2;
    unsigned seconds_max = 20;     // for one fault; then it hangs
    std::size_t problems_max = 20; // printed; all are counted
};

struct Tally {
    std::vector<std::array<std::uint64_t, place_count>> outcomes; // by outcome and place
    std::uint64_t faults = 0;
    std::uint64_t problems = 0; // crashes and hangs among them; printed to stderr as they come
};

Tally run(const Specimen &specimen, const std::vector<Fault> &faults, const Trial &trial,
          const RunOptions &options);

} // namespace daxpin::faults
