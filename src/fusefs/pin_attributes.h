// SPDX-License-Identifier: BSD-3-Clause
//
// user.daxpin.*: pins for shells and languages without ioctl (docs/pinning.md, "Extended
// attributes"). They are answered here, never stored and never listed.
#pragma once

#include "volume/volume.h"

#include <string>
#include <string_view>

namespace daxpin::fusefs {

// True for every name of the reserved namespace, whether it means anything or not.
bool is_pin_attribute(std::string_view name);

// ERRORS: no_attribute for names that mean nothing and files that are not regular; too_big above
// 64 KiB of text.
Result<std::string> get_pin_attribute(volume::Volume &volume, InodeNumber inode,
                                      std::string_view name);

// user.daxpin.pin: "1" pins the whole file with PREPARE, "0" unpins it.
// ERRORS: not_permitted for the read-only names, invalid for other values and names; as PIN and
// UNPIN, but access for bad_handle, for there is no descriptor.
Result<void> set_pin_attribute(volume::Volume &volume, const volume::Caller &caller,
                               InodeNumber inode, std::string_view name, std::string_view value);

// Removing user.daxpin.pin unpins. ERRORS: as set_pin_attribute().
Result<void> remove_pin_attribute(volume::Volume &volume, const volume::Caller &caller,
                                  InodeNumber inode, std::string_view name);

// The text of user.daxpin.extents: "FILE_OFFSET LENGTH DEVICE DEVICE_OFFSET [unwritten]" a line.
// ERRORS: too_big.
Result<std::string> extents_text(const std::vector<volume::ExtentInfo> &extents);

// The text of user.daxpin.status: "name value" a line.
std::string status_text(const volume::PinStatus &status);

} // namespace daxpin::fusefs
