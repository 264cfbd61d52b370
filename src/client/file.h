// SPDX-License-Identifier: BSD-3-Clause
//
// LeasedFile: an open file description of our own with a lease, and what it maps to.
//
// The description is opened anew from the caller's descriptor, so that the lease ends with the
// mappings and not with the caller's habits. Protocol: daxpin-ioctl(2).
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <daxpin/ioctl.h>
#include <string>
#include <vector>

namespace daxpin::client {

struct LeasedFile {
    UniqueFd fd;
    bool writable = false;
    std::uint64_t offset = 0; // of the leased range, bytes
    std::uint64_t length = 0;
    daxpin_generation generation{};
};

// ERRORS: see daxpin_map_new().
Result<LeasedFile> lease_file(int fd, std::uint64_t offset, std::uint64_t length, bool prepare);

// The extents of the leased range in order, without a gap, neighbours joined.
// ERRORS: stale if the map changed meanwhile; invalid for a hole.
Result<std::vector<daxpin_extent>> leased_extents(const LeasedFile &file);

// ERRORS: stale if the map has changed since the lease.
Result<void> check_generation(const LeasedFile &file);

Result<daxpin_device> device_of(const LeasedFile &file, unsigned index);

} // namespace daxpin::client
