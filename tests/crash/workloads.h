// SPDX-License-Identifier: BSD-3-Clause
//
// What the suite runs: short sequences of operations, each from several starting images.
#pragma once

#include "crash/operation.h"

namespace daxpin::crash {

struct Workload {
    std::string name;
    std::vector<Operation> setup; // not crashed
    std::vector<Operation> steps; // crashed at every point
    // What each of several threads does at the same time; then the steps come first, not crashed.
    std::vector<std::vector<Operation>> threads = {};
    bool large = false; // needs more than half of the volume
};

// Every operation of the volume at least once, every mode of it.
const std::vector<Workload> &workloads();

// The workload that has no operations: the volume is made.
inline constexpr char format_workload[] = "format";

} // namespace daxpin::crash
