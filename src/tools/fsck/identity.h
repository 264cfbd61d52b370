// SPDX-License-Identifier: BSD-3-Clause
//
// First part of a check: labels, superblocks and devices tell the same story.
#pragma once

#include "tools/fsck/findings.h"

#include <optional>

namespace daxpin::fsck {

// The superblock to go on with; nothing if what was found leaves no ground to stand on.
std::optional<format::Superblock> check_identity(const device::DeviceTable &devices,
                                                 Findings &findings);

} // namespace daxpin::fsck
