// SPDX-License-Identifier: BSD-3-Clause
//
// What a device holds before mkfs overwrites it.
#pragma once

#include "device/device.h"

#include <optional>
#include <string>

namespace daxpin::mkfs {

// What `device` holds, for a person ("an ext4 filesystem 'home'", "a daxpin volume ..."); nothing
// if it is no filesystem, partition table, RAID or volume that anybody knows.
// ERRORS: io if it cannot be read; no_space if its holes cannot be filled.
Result<std::optional<std::string>> content_of(const device::Device &device);

// True for a file that has holes: what is stored there needs room in its filesystem.
bool is_sparse(const std::string &path);

} // namespace daxpin::mkfs
