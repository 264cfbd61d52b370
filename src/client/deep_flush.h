// SPDX-License-Identifier: BSD-3-Clause
//
// What a platform can flush beyond the persistence domain: write-pending queues and the like.
#pragma once

#include "base/result.h"
#include "client/sysfs.h"

#include <cstddef>
#include <daxpin/ioctl.h>

namespace daxpin::client {

// Flushes a mapped range of `device`, whose stores are flushed and drained, beyond the persistence
// domain; does nothing if the device has nothing deeper. ERRORS: io, access (the region's
// deep_flush may not be written).
Result<void> deep_flush(const daxpin_device &device, std::byte *address, std::size_t length,
                        const SystemPaths &paths = {});

} // namespace daxpin::client
