// SPDX-License-Identifier: BSD-3-Clause
//
// Opening a volume's device by the path under which the daemon knows it.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <daxpin/ioctl.h>

namespace daxpin::client {

// ERRORS: missing if the path leads to something else here, as in another mount namespace it may:
// stores would go into somebody's file, and this volume would not have them; errno of open(2).
Result<UniqueFd> open_device(const daxpin_device &device, bool writable);

} // namespace daxpin::client
