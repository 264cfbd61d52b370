// SPDX-License-Identifier: BSD-3-Clause
//
// Reading and writing device labels and the superblock, each in two copies in different blocks
// (the device's first and last), so that the loss of one block loses neither.
//
// Layouts: docs/format.md, "Device label" and "Superblock".
#pragma once

#include "device/device.h"
#include "device/device_table.h"
#include "format/layout.h"

namespace daxpin::device {

// The label of `device`, from the first valid copy.
// ERRORS: invalid with a text that says what it is instead (nothing, another filesystem, a label
// with a wrong checksum, a newer format version, a device shorter than its label says).
Result<format::DeviceLabel> read_label(const Device &device);

// The superblock of device 0, from the first valid copy.
// ERRORS: as read_label(); unsupported for unknown incompat features, their bits named.
Result<format::Superblock> read_superblock(const Device &device);

// Writes both copies of each, second copy first, and drains: a crash leaves "not a volume" (or
// the volume that was there) or a whole one. Checksums are filled in.
// `superblock` is null for devices other than 0.
Result<void> write_labels(Device &device, format::DeviceLabel label,
                          const format::Superblock *superblock);

// Clears the magic numbers of both labels, and of what may be superblocks, durably: mkfs does so
// before anything else.
Result<void> wipe_labels(Device &device);

// Stores the copy of `label` or of `superblock` that stands in `block`, as it is. A bad block takes
// new bytes only as a whole: it gets both, `superblock` unless that is null. Durable with the next
// drain. REQUIRES: `block` is on the device; a superblock to be stored is not null.
// ERRORS: io if the block stays bad.
enum class Structure { label, superblock };
Result<void> store_copy(Device &device, std::uint64_t block, Structure which,
                        const format::DeviceLabel &label, const format::Superblock *superblock);

// Makes a valid copy out of the other one where only one is valid; returns whether there was one
// to make. Durable with the next drain.
Result<bool> restore_copies(Device &device);

} // namespace daxpin::device
