// SPDX-License-Identifier: BSD-3-Clause
//
// A recording of several threads that are at work at the same time, in an order that the seed
// decides (support/scheduler.h).
#pragma once

#include "crash/recording.h"

namespace daxpin::crash {

// Runs workload.threads. Throws Problem if the volume cannot be made, mounted or read.
Recording record_threads(const Workload &workload, const Image &image, std::uint64_t seed);

// What is wrong with the run itself: an answer or an end that no order of the calls explains;
// or another trace when the run is repeated. Empty if nothing.
std::string check_run(const Recording &recording, const Workload &workload, const Image &image,
                      std::uint64_t seed);

} // namespace daxpin::crash
