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
};

// Every operation of the volume at least once, every mode of it.
const std::vector<Workload> &workloads();

// The workload that has no operations: the volume is made.
inline constexpr char format_workload[] = "format";

// What the volume looks like when the steps begin.
enum class Start {
    fresh,       // just mounted, everything home, an empty ring
    dirty,       // the setup's records are in the ring, their homes not written back
    wrap,        // the ring's last 64 bytes come next
    lap,         // the ring is full of records whose homes are dirty: the step must checkpoint
    full,        // no block is free
    nearly_full, // two blocks are free
    split_names, // the leaf that holds the root's entries is about to split
    split_files, // the leaf that holds the newest inodes is about to split
    two_devices, // metadata on one, data on another; dirty
};
inline constexpr Start all_starts[] = {Start::fresh,       Start::dirty,       Start::wrap,
                                       Start::lap,         Start::full,        Start::nearly_full,
                                       Start::split_names, Start::split_files, Start::two_devices};
const char *to_string(Start start) noexcept;

} // namespace daxpin::crash
