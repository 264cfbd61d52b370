// SPDX-License-Identifier: BSD-3-Clause
//
// The operations that make a specimen what it is.
#pragma once

#include "crash/operation.h"

#include <vector>

namespace daxpin::faults {

struct Chapter {
    const char *name; // what the volume is before: "before the files were made"
    bool remount;     // before it begins
    std::vector<crash::Operation> operations;
};

// Directories and files of every shape, attributes and names of every kind; then deletions, and
// new files in the blocks that came free.
std::vector<Chapter> content();

// What the ring holds when the power fails: two chapters, without a remount.
std::vector<Chapter> last_operations();

} // namespace daxpin::faults
