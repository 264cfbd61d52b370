// SPDX-License-Identifier: BSD-3-Clause
//
// A report for people, or as JSON for programs.
#pragma once

#include "tools/fsck/check.h"

namespace daxpin::fsck {

struct PrintOptions {
    bool verbose = false; // the counts too
    bool repair = false;  // repair was asked for: say why nothing is repaired
};

// To stdout. `device` names the volume.
void print_text(const std::string &device, const Report &report, const PrintOptions &options);

// One object a volume, in an array: {"volumes": [...]}.
struct Checked {
    std::string device;
    Report report;
    std::string failure; // why it could not be checked; empty if it was
};
void print_json(const std::vector<Checked> &volumes);

} // namespace daxpin::fsck
