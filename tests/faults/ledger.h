// SPDX-License-Identifier: BSD-3-Clause
//
// Ledger: what was tried, in pieces, and kept in a log from which a run can be resumed.
//
// The log has a line of JSON for each piece. It belongs to one seed and one sample; a piece that
// had problems is run again.
#pragma once

#include "crash/summary.h"
#include "faults/flips.h"

namespace daxpin::faults {

// A run of faults of one kind under one trial.
struct Piece {
    std::string section; // "crashed, repair, flipped bits"
    std::uint64_t first; // of the section's faults
    std::uint64_t count; // of the section
};

class Ledger {
  public:
    // `path` empty: nothing is kept. `run` tells seeds and samples apart. `resume`: what is there
    // counts.
    Ledger(const std::string &path, std::string run, bool resume);

    // What an earlier run found, if it had no problem.
    std::optional<Tally> find(const Piece &piece) const;
    void add(const Piece &piece, const Tally &tally, double seconds);

  private:
    std::string key(const Piece &piece) const;

    const std::string run_;
    crash::Log log_;
    std::map<std::string, Tally> known_;
};

} // namespace daxpin::faults
