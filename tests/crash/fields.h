// SPDX-License-Identifier: BSD-3-Clause
//
// Fields: takes one field of one media structure out of every journal record of a recording, as
// if the engine had forgotten to log it. Homes are written as before, checksums are made to fit.
// A suite that does not notice does not test that field. For scripts/mutate.
#pragma once

#include "crash/recording.h"

namespace daxpin::crash {

// "RecordHeader.length", "InodeItem.mode", ... : every field of every structure that records
// carry or consist of, in the order of format/layout.h.
std::vector<std::string> field_names();

// Returns the number of bytes that were changed in the trace. REQUIRES: `name` is one of them.
std::uint64_t drop_field(Recording &recording, const std::string &name);

} // namespace daxpin::crash
