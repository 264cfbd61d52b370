// SPDX-License-Identifier: BSD-3-Clause
//
// The crash states of making a volume: "not a volume", the volume that was there before, or a
// whole new one; never anything else.
#pragma once

#include "crash/recording.h"
#include "crash/scratch.h"

namespace daxpin::crash {

// Formats over nothing (start fresh), over a volume with files, or on two devices. One step.
Recording record_format(const Image &image, std::uint64_t seed);

// Returns what is wrong with the state on the scratch media, empty if nothing.
std::string check_format(Scratch &scratch, const Recording &recording, const Position &position);

} // namespace daxpin::crash
