// SPDX-License-Identifier: BSD-3-Clause
//
// Faults of a specimen's metadata, one at a time, and what is done about each: the enumerator.
//
// A trial is told of a fault that was just made on media, does with the volume what it likes, and
// says how it ended. Trials run in child processes, so one that crashes or hangs is a problem of
// its fault and no more.
//
//     const auto specimen = make_specimen(State::unmounted, 1);
//     const auto tally = run(specimen, every_bit(specimen), {{"repaired"}, repair_and_check}, {});
#pragma once

#include "crash/scratch.h"
#include "faults/specimen.h"

#include <functional>

namespace daxpin::faults {

enum class Damage : std::uint8_t {
    flip,   // of one bit
    zeros,  // all that follow: of whole ranges
    ones,   //
    garbage // by the fault's own place
};

struct Fault {
    Place place;
    Damage damage;
    std::uint8_t bit;     // flip: 0 to 7
    std::uint32_t length; // bytes; flip: 1
    std::uint64_t offset; // on device 0
};
std::string to_string(const Fault &fault); // "node at block 36, byte 100 (--at 147556), bit 3"

// Each bit of everything in use, in order of place on the device.
std::vector<Fault> every_bit(const Specimen &specimen);
// Each aligned piece of `bytes` (64 or 4096) with something in use, once with each damage of whole
// ranges. Left out are pieces of which nothing would change, and those with bytes of the newest
// record: all of the ring's end may be lost with them, as in a tear.
std::vector<Fault> every_piece(const Specimen &specimen, std::uint32_t bytes);

// Makes the fault on media that hold the specimen.
void apply(const Fault &fault, crash::Scratch &scratch);

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
