// SPDX-License-Identifier: BSD-3-Clause
//
// Workloads of two to four threads, chosen to meet: in one directory, inode, bitmap chunk, leaf of
// the tree, or in the ring.
//
// Each operation reaches the volume as one call, so that it happens at one moment: where the way
// to it may change under way it begins at an open file or directory ("@x/foo", as openat()).
#pragma once

#include "crash/workloads.h"

namespace daxpin::crash {

const std::vector<Workload> &concurrent_workloads();

// The starting images that they run on, as in image.h.
inline constexpr const char *concurrent_images[] = {
    "fresh",       "lap",         "split-names", "fresh+wrap", "dirty+page",
    "split-files", "two-devices", "crashed",     "dirty+byte", "nearly-full"};

} // namespace daxpin::crash
