// SPDX-License-Identifier: BSD-3-Clause
//
// Generated workloads for file data: every operation on data at unaligned offsets and lengths,
// on every shape of file, through the descriptor that made the file's last change and through a
// second one that was open before.
#pragma once

#include "crash/workloads.h"

namespace daxpin::crash {

// Groups of workloads with the same setup. Slots are opened in the setup: only for images that
// record it (Image::records_setup).
std::vector<std::vector<Workload>> data_workloads();

} // namespace daxpin::crash
