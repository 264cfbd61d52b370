// SPDX-License-Identifier: BSD-3-Clause
//
// Talking to a daxpin filesystem about one file: ioctls and attributes, with errors that name
// the file and the remedy.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <daxpin/ioctl.h>
#include <optional>
#include <string>
#include <vector>

namespace daxpin::tool {

// Opens with O_DIRECT, so that the descriptor does not stand in the way of its own pin.
Result<UniqueFd> open_file(const std::string &path, bool write);

// Opens the regular file at `path` below the folder `root` for pinning it. No symbolic link is
// followed, and nothing outside of the folder's mount is reached: the path may be of a list that
// somebody else had a hand in. `shown` is for messages.
Result<UniqueFd> open_below(int root, const std::string &path, const std::string &shown);

// ERRORS: with "PATH: ..." and, where there is one, what to do about it.
Result<void> request(const std::string &path, int fd, unsigned long command, void *argument);

// An attribute's text; nothing if the file has none of that name.
Result<std::optional<std::string>> attribute(const std::string &path, const char *name);

Result<daxpin_file_status> status_of(const std::string &path, int fd);

// What was found damaged since the mount; nothing if the daemon is too old to say.
Result<std::optional<daxpin_damage>> damage_of(const std::string &path);

// The state of the volume; nothing if the daemon is too old to say.
Result<std::optional<daxpin_volume>> volume_of(const std::string &path);

// Every device of the volume that `path` is on.
Result<std::vector<daxpin_device>> devices_of(const std::string &path);

const char *granularity_text(unsigned granularity);

} // namespace daxpin::tool
