// SPDX-License-Identifier: BSD-3-Clause
//
// Opening devices by path and finding the rest of a volume by UUID.
#pragma once

#include "device/device.h"
#include "device/device_table.h"
#include "format/layout.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace daxpin::device {

// What a user of the program at hand can do, as parts of messages.
struct Remedies {
    std::string missing_member; // how the program is told of another device
    std::string not_writable = "name a device that can be written";
};

struct OpenOptions {
    bool read_only = false;
    bool exclusive = true;                       // take the in-use lock; false only to look (dump)
    std::optional<Domain> domain;                // override of what the platform says
    std::vector<std::string> more_paths;         // further devices given by the user
    std::vector<std::string> search_directories; // also looked through for members
    Remedies remedies;
};

// Opens one device: device DAX, a file on a DAX filesystem or an ordinary file, by libpmem2.
// ERRORS, each with a text that names the path and the remedy: missing, access, busy (in use:
// names the holder's pid), invalid (a block device: names the ndctl command that makes it
// usable; a size of zero; odd alignment).
Result<std::unique_ptr<Device>> open_device(const std::string &path, const OpenOptions &options);

// Whether it is "volume:" and the UUID or the label of a volume, which stands for any member.
bool names_volume(std::string_view device);

// Opens the volume that `device` is a member of: a path, or the volume's name, which is looked for
// in more_paths, search_directories and /sys/bus/dax. Reads the label, finds the other members by
// UUID in the same places and the directory of the path. ERRORS: as open_device() and read_label();
// missing with the UUIDs of the members not found; invalid if copies cannot be told apart.
Result<DeviceTable> open_volume_devices(const std::string &device, const OpenOptions &options);

// The pid that holds the in-use lock of the file or device at `path`, if any (from /proc/locks).
std::optional<int> lock_holder(const std::string &path);

} // namespace daxpin::device
