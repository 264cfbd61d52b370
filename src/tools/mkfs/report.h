// SPDX-License-Identifier: BSD-3-Clause
//
// What mkfs tells about the volume it made.
#pragma once

#include "device/device_table.h"
#include "format/layout.h"

#include <string>

namespace daxpin::mkfs {

std::string text_report(const format::Superblock &superblock, const device::DeviceTable &devices);
std::string json_report(const format::Superblock &superblock, const device::DeviceTable &devices);

// Lines that recommend something better, or warn.
std::string notes(const device::DeviceTable &devices);

} // namespace daxpin::mkfs
