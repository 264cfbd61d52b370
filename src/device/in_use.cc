// SPDX-License-Identifier: BSD-3-Clause
#include "device/in_use.h"

#include "device/open.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace daxpin::device {

// A line of /proc/locks: "1: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF", the device in hex.
std::optional<int> lock_holder(const std::string &path) {
    struct stat status;
    if (::stat(path.c_str(), &status) != 0)
        return std::nullopt;
    std::ifstream locks("/proc/locks");
    for (std::string line; std::getline(locks, line);) {
        int pid = 0;
        unsigned device_major = 0;
        unsigned device_minor = 0;
        unsigned long long inode = 0;
        if (std::sscanf(line.c_str(), "%*d: FLOCK %*s %*s %d %x:%x:%llu", &pid, &device_major,
                        &device_minor, &inode) == 4 &&
            pid > 0 && inode == status.st_ino && device_major == ::major(status.st_dev) &&
            device_minor == ::minor(status.st_dev))
            return pid;
    }
    return std::nullopt;
}

Result<void> take_in_use_lock(int fd, const std::string &path) {
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0)
        return {};
    if (errno != EWOULDBLOCK)
        return Error{from_errno(errno),
                     fmt::format("{}: cannot be locked: {}", path, std::strerror(errno))};
    const auto pid = lock_holder(path);
    return Error{Errc::busy, fmt::format("{}: is in use by {}: unmount it first", path,
                                         pid ? fmt::format("process {}", *pid)
                                             : std::string("another process"))};
}

} // namespace daxpin::device
