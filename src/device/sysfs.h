// SPDX-License-Identifier: BSD-3-Clause
//
// What the kernel says about a device in /sys. Every answer is optional: containers hide /sys.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace daxpin::device {

// The device number of a device DAX node: alignment in bytes of every mapping.
std::optional<std::uint64_t> dax_alignment(dev_t number);

bool is_device_dax(dev_t number);

// Device DAX that the kernel uses as ordinary memory (mode system-ram); it cannot be opened.
bool is_system_ram(dev_t number);

// The node that holds the memory of a character device (of itself) or of the block device that
// a file lies on; -1 if unknown.
int numa_node(dev_t number, bool is_character_device);

// The namespace of a /dev/pmem block device as ndctl names it ("namespace0.0"), or "NAMESPACE".
std::string namespace_name(dev_t block_device);

// /dev paths of all device DAX instances of the machine.
std::vector<std::string> dax_devices();

} // namespace daxpin::device
