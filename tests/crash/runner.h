// SPDX-License-Identifier: BSD-3-Clause
//
// Runner: distributes units over processes and collects what they found.
//
// A process that ends by an assertion or a signal, or that makes no progress for a minute, is a
// violation of its own; the unit is given up and the others go on.
#pragma once

#include "crash/summary.h"
#include "crash/units.h"

namespace daxpin::crash {

struct RunnerOptions {
    unsigned processes = 2;
    Tier tier = Tier::normal;
    std::uint64_t seed = 1;
    bool stop_at_first = false;
    double seconds_max = 0;               // no unit is begun later; 0 = no limit
    std::string log;                      // finished units are appended to it; empty for none
    std::string replay_command;           // printed with each token
    std::size_t violations_shown_max = 3; // of each unit
};

struct RunEnd {
    std::size_t left = 0; // units not finished: no time, or interrupted
    int signal = 0;       // SIGINT or SIGTERM if one of them ended the run
};

// Runs all units and adds them to `summary`; violations are printed as they are found.
RunEnd run_units(const std::vector<Unit> &units, const RunnerOptions &options, Summary &summary);

// Runs the one state of a token in this process, so that a debugger can look. `unit` has its
// workload.
Counters replay(const Unit &unit, const Token &token, const RunnerOptions &options);

} // namespace daxpin::crash
