// SPDX-License-Identifier: BSD-3-Clause
//
// The trial of the repair: fsck -n, for every other fault fsck -p, then fsck -y, -n, -y again,
// mount, compare. See compare.h for what must be as before.
#pragma once

#include "faults/flips.h"

namespace daxpin::faults {

enum RepairOutcome : unsigned {
    unaffected, // fsck finds nothing, and all is as without the fault
    restored,   // all is as without it
    partly,     // some of what was hit is lost or changed, and the report says so
    stale       // an older copy that nothing contradicts: what was hit is as it was then
};

Trial make_repair_trial(const Specimen &specimen);

} // namespace daxpin::faults
