// SPDX-License-Identifier: BSD-3-Clause
//
// Checks before a mount: is the mount point usable, and would the daemon have to ask itself?
#pragma once

#include "base/result.h"

#include <optional>
#include <string>

namespace daxpin::fusefs {

// The absolute path of a directory that can be mounted on.
// ERRORS, each with a text that names the path and the remedy: missing, not_directory, busy
// (something is mounted there already, or a daemon died there), access.
Result<std::string> check_mountpoint(const std::string &path);

// The absolute path of a device. ERRORS, with a text: missing, access.
Result<std::string> check_device_path(const std::string &path);

// The daemon must never wait for its own answer. ERRORS: invalid, with a text, if the device lies
// below the mount point. REQUIRES: absolute paths.
Result<void> check_apart(const std::string &device, const std::string &mountpoint);

// True if `mountinfo` (the text of /proc/self/mountinfo) lists a mount on `path` that is not an
// automounter's.
bool lists_mount(const std::string &mountinfo, const std::string &path);

// The minor number of the device that `mountinfo` shows for the mount on `path`: for a FUSE mount
// the number of its connection. The newest one counts.
std::optional<unsigned> mounted_minor(const std::string &mountinfo, const std::string &path);

std::string read_mountinfo();

} // namespace daxpin::fusefs
