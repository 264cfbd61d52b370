// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "base/result.h"
#include "format/layout.h"

namespace daxpin::volume {

// Whether the regions that the superblock names lie on device 0, apart from each other, and have
// legal sizes: its checksum says that nothing changed it, not that it makes sense.
// ERRORS: corrupt.
Result<void> check_geometry(const format::Superblock &superblock);

} // namespace daxpin::volume
