// SPDX-License-Identifier: BSD-3-Clause
//
// The list of bad blocks that a device itself keeps, as far as libpmem2 gets at it: of device DAX
// and of files on a DAX filesystem, usually as root alone.
#pragma once

#include "device/device.h"

namespace daxpin::device {

// Bytes of the device or file that the device lists. Empty where that cannot be found out, which
// is the rule rather than the exception; why is logged for debugging.
std::vector<ByteRange> listed_by_device(int fd, const std::string &path);

// Has the device repair what it lists within `range`; what the bytes hold then is undefined.
void clear_listed_by_device(int fd, ByteRange range);

} // namespace daxpin::device
