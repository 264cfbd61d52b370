// SPDX-License-Identifier: BSD-3-Clause
//
// Runner: distributes (workload, start) pairs over processes and collects what they found.
//
// A process that ends by an assertion or a signal, or that makes no progress for a minute, is a
// violation of its own; the pair is given up and the others go on.
#pragma once

#include "crash/explorer.h"

namespace daxpin::crash {

struct Job {
    const Workload *workload;
    Start start;
};

struct RunnerOptions {
    unsigned processes = 2;
    Plan plan;
    std::string replay_command;           // printed with each token
    std::size_t violations_shown_max = 3; // of each pair
};

// Runs all jobs; violations are printed as they are found.
Counters run_jobs(const std::vector<Job> &jobs, const RunnerOptions &options);

// Runs the one state of a token in this process, so that a debugger can look.
Counters replay(const Job &job, const Token &token, const RunnerOptions &options);

} // namespace daxpin::crash
