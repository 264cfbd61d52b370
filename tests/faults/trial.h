// SPDX-License-Identifier: BSD-3-Clause
//
// The trial that the suite runs over every fault: fsck, mount, walk, use, unmount, fsck.
#pragma once

#include "faults/flips.h"

namespace daxpin::faults {

// Of each fault one of these comes out; whatever else is a problem.
enum Outcome : unsigned {
    harmless,  // all is as without it, and fsck finds nothing
    repaired,  // all is as without it; fsck found something before the mount and nothing after
    contained, // what it hit answers EIO, all else is as without it; fsck finds it, too
    refused,   // at mount, with a reason; nothing was written
    found,     // an older copy that fsck finds; used all the same, without a crash or a hang
    outdated   // an older copy that nothing contradicts: what it hit is as it was then
};

// What is done first, and what the option errors= says. Looking first, with errors=ro, finds damage
// before anything is changed; using first, with errors=continue, changes what can be changed beside
// it.
enum class Order { look_first, use_first };

Trial make_trial(const Specimen &specimen, Order order);

} // namespace daxpin::faults
