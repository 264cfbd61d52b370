// SPDX-License-Identifier: BSD-3-Clause
//
// Generated workloads in which one operation meets what another left behind: an open file or
// directory that lost, changed or never had its name; a truncation or removal that still goes on
// in steps; old bytes behind the end of a file; a value that another one replaces; a tree whose
// inner node is full. Ordinary pairs (ACE) meet none of these: nothing stays open in them, and
// nothing is large enough to be done in steps.
#pragma once

#include "crash/workloads.h"

namespace daxpin::crash {

// Groups of workloads with the same setup, "KIND.WHAT.OPERATION" each. Files stay open from the
// setup to the steps: for images that record the setup.
std::vector<std::vector<Workload>> combined_workloads();

// For Start::full_root: in each workload another leaf splits, and with it the root.
std::vector<Workload> full_root_workloads();

} // namespace daxpin::crash
