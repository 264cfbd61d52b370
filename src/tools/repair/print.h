// SPDX-License-Identifier: BSD-3-Clause
//
// A report for people, or as JSON for programs.
#pragma once

#include "tools/repair/repair.h"

namespace daxpin::fsck {

struct PrintOptions {
    bool verbose = false; // the counts too
};

// To stdout. `device` names the volume.
void print_text(const std::string &device, const repair::Outcome &outcome,
                const PrintOptions &options);

// One object a volume, in an array: {"volumes": [...]}.
struct Checked {
    std::string device;
    repair::Outcome outcome; // of a mere check: before and after are the same
    std::string failure;     // why it could not be checked; empty if it was
    bool skipped = false;    // it is in use, and was not looked at
};
void print_json(const std::vector<Checked> &volumes);

} // namespace daxpin::fsck
