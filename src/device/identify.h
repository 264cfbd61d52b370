// SPDX-License-Identifier: BSD-3-Clause
//
// What a device holds that is not a daxpin volume, for messages.
#pragma once

#include <string>

namespace daxpin::device {

// "an ext4 filesystem", "a gpt partition table" (as libblkid knows them), or "no filesystem known
// to libblkid" (which also answers for what cannot be read, such as device DAX).
std::string identify_content(const std::string &path);

} // namespace daxpin::device
