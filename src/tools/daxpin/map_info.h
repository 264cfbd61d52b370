// SPDX-License-Identifier: BSD-3-Clause
//
// daxpin map-info: what a process maps, and what of its stores lasts when.
#pragma once

#include "base/result.h"

#include <string>

namespace daxpin::tool {

// All mappings of a process, or the one at `address` (text, if not empty).
Result<void> map_info(const std::string &pid, const std::string &address, bool json);

} // namespace daxpin::tool
