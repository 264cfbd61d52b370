// SPDX-License-Identifier: BSD-3-Clause
//
// What the journal stands on, put right without it: labels, superblocks, tail cells, the ring.
// Each is idempotent: after a crash the next repair does the same again.
#pragma once

#include "base/env.h"
#include "device/device_table.h"
#include "tools/fsck/fixes.h"

namespace daxpin::repair {

// Makes the copies of a device's label or superblock equal to the one that rules. ERRORS: io.
Result<void> fix_copies(device::DeviceTable &devices, const fsck::FixCopies &fix);

// Writes home what the journal's records say, for a ring that a recovery refuses, and begins a new
// epoch behind it. A unit gets the newest content whose checksum holds: that of all records that
// can be read, else what stands at home, else that of the records before the damage; if none
// does it is left, for the check to find. Blocks of `not_units` are not touched. ERRORS: io.
Result<void> write_records_home(device::DeviceTable &devices, const format::Superblock &superblock,
                                const std::vector<MediaRun> &not_units, Env &env);

} // namespace daxpin::repair
