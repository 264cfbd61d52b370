// SPDX-License-Identifier: BSD-3-Clause
//
// Using a volume that may be damaged, and keeping account of what was done.
#pragma once

#include "crash/dump.h"

namespace daxpin::faults {

// Makes, fills, renames files in each directory, and appends to, cuts, moves, links and marks the
// files there are. What succeeded is entered in `dump`. Returns the first answer that may not be:
// any error but those of damage, of a read-only volume and of a full one.
std::string use(volume::Volume &volume, crash::Dump &dump);

// Deletes everything, and does what background work there is. As use().
std::string delete_all(volume::Volume &volume, crash::Dump &dump);

} // namespace daxpin::faults
