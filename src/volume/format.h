// SPDX-License-Identifier: BSD-3-Clause
//
// Makes a new volume on open devices.
#pragma once

#include "volume/types.h"

namespace daxpin::volume {

struct FormatOptions {
    std::string label;
    std::optional<Uuid> uuid;
    std::uint64_t journal_bytes = 0; // 0 = by the size of device 0
    std::uint64_t journal_start = 0; // first sequence of the ring, a multiple of 64
    std::uint32_t uid = 0;           // owner of the root directory
    std::uint32_t gid = 0;
    std::function<void(double done)> progress = {}; // 0 .. 1
};

// The smallest device 0 that format() accepts, in bytes.
std::uint64_t device_bytes_min();

// The ring that format() chooses for a device 0 of this size.
std::uint64_t default_journal_bytes(std::uint64_t device_bytes);

// Device 0 holds the metadata, and data too if it is the only one; further devices hold data.
// Wipes the labels first, writes them last: a crash leaves "not a volume" or a whole one.
// ERRORS: invalid with a text (device too small, journal too large, label too long); io.
Result<format::Superblock> format_volume(device::DeviceTable &devices, const FormatOptions &options,
                                         Env &env);

} // namespace daxpin::volume
