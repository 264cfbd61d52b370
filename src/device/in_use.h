// SPDX-License-Identifier: BSD-3-Clause
//
// The in-use lock of a device: flock(2) on the descriptor, so that it ends with the process that
// holds it, however that ends.
#pragma once

#include "base/result.h"

#include <string>

namespace daxpin::device {

// Waits up to two seconds for a holder that serves no mount, and so may be about to end.
// ERRORS: busy, naming `path` and the holder's pid where the kernel tells it.
Result<void> take_in_use_lock(int fd, const std::string &path);

} // namespace daxpin::device
