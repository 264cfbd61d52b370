// SPDX-License-Identifier: BSD-3-Clause
//
// What the kernel says in /sys about the memory behind a device.
#pragma once

#include <optional>
#include <string>
#include <sys/types.h>

namespace daxpin::client {

// Where the kernel's own filesystems are; tests have others.
struct SystemPaths {
    std::string proc = "/proc";
    std::string sys = "/sys";
};

bool is_device_dax(const SystemPaths &paths, dev_t number);

// The folder of the persistent-memory region that a device ("char", "block") lies on; none for
// volatile memory and for disks.
std::optional<std::string> memory_region(const SystemPaths &paths, const char *kind, dev_t number);

// DAXPIN_GRANULARITY_* of memory of that region.
unsigned region_granularity(const std::string &region);

} // namespace daxpin::client
