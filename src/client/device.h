// SPDX-License-Identifier: BSD-3-Clause
//
// Opening a volume's device by the path under which the daemon knows it.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "format/layout.h"

#include <daxpin/ioctl.h>

namespace daxpin::client {

// CRC-32C of the label with its own field taken as zero.
std::uint32_t checksum(format::DeviceLabel label);

// ERRORS: missing if the path leads to something else here, as in another mount namespace it may:
// stores would go into somebody's file, and this volume would not have them; errno of open(2).
Result<UniqueFd> open_device(const daxpin_device &device, bool writable);

} // namespace daxpin::client
