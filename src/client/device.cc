// SPDX-License-Identifier: BSD-3-Clause
#include "client/device.h"

#include "client/error.h"

#include <cstring>
#include <fcntl.h>
#include <optional>
#include <span>
#include <string>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace daxpin::client {

namespace {

// Whether the label that stands there is the device's; nothing if none does that is sound.
std::optional<bool> is_labelled(int fd, std::uint64_t offset, const daxpin_device &device) {
    format::DeviceLabel label;
    if (pread(fd, &label, sizeof label, static_cast<off_t>(offset)) != sizeof label ||
        label.magic != format::label_magic || label.crc != checksum(label))
        return {};
    return std::memcmp(label.volume_uuid, device.volume_uuid, sizeof label.volume_uuid) == 0 &&
           std::memcmp(label.device_uuid, device.uuid, sizeof label.device_uuid) == 0;
}

// Device DAX cannot be read, but its number says which it is.
bool is_the_one(int fd, const daxpin_device &device) {
    struct stat status;
    if (device.number != 0)
        return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) &&
               (major(status.st_rdev) << 20 | minor(status.st_rdev)) == device.number;
    const auto first = is_labelled(fd, 0, device);
    return first ? *first : is_labelled(fd, device.size - block_size, device).value_or(false);
}

} // namespace

// Bit by bit: a table, or a library, would be much for one label.
std::uint32_t checksum(format::DeviceLabel label) {
    label.crc = 0;
    std::uint32_t crc = ~0U;
    for (const std::byte byte : std::as_bytes(std::span(&label, 1))) {
        crc ^= std::to_integer<std::uint32_t>(byte);
        for (int bit = 0; bit < 8; ++bit)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78U : 0);
    }
    return ~crc;
}

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
