// SPDX-License-Identifier: BSD-3-Clause
#include "client/device.h"

#include "client/error.h"
#include "format/layout.h"

#include <cstring>
#include <fcntl.h>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

namespace daxpin::client {

namespace {

// Whether the label that stands there is the device's; nothing if there is none.
std::optional<bool> is_labelled(int fd, std::uint64_t offset, const daxpin_device &device) {
    format::DeviceLabel label;
    if (pread(fd, &label, sizeof label, static_cast<off_t>(offset)) != sizeof label ||
        label.magic != format::label_magic)
        return {};
    return std::memcmp(label.volume_uuid, device.volume_uuid, sizeof label.volume_uuid) == 0 &&
           std::memcmp(label.device_uuid, device.uuid, sizeof label.device_uuid) == 0;
}

bool is_the_one(int fd, const daxpin_device &device) {
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISCHR(status.st_mode))
        return true; // device DAX cannot be read; its number is the same device everywhere
    const auto first = is_labelled(fd, 0, device);
    return first ? *first : is_labelled(fd, device.size - block_size, device).value_or(false);
}

} // namespace

Result<UniqueFd> open_device(const daxpin_device &device, bool writable) {
    UniqueFd fd(open(device.path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC));
    if (!fd)
        return system_error(std::string("cannot open the device ") + device.path);
    if (!is_the_one(fd.get(), device))
        return Error{Errc::missing, std::string(device.path) +
                                        " is not the filesystem's device here: in another mount "
                                        "namespace the path must lead to the same one"};
    return fd;
}

} // namespace daxpin::client
