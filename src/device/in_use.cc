// SPDX-License-Identifier: BSD-3-Clause
#include "device/in_use.h"

#include "device/open.h"

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <sstream>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <thread>
#include <unistd.h>

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

namespace {

using Clock = std::chrono::steady_clock;
// umount(8) returns before the daemon has written everything home and let go of its devices.
constexpr auto patience = std::chrono::seconds(2);
constexpr auto look_period = std::chrono::milliseconds(20);

// /proc/mounts writes blanks and backslashes as three octal digits.
std::string unescape(const std::string &field) {
    std::string text;
    for (std::size_t i = 0; i < field.size(); ++i) {
        unsigned code = 0;
        if (field[i] == '\\' && std::sscanf(field.c_str() + i + 1, "%3o", &code) == 1) {
            text += static_cast<char>(code);
            i += 3;
        } else {
            text += field[i];
        }
    }
    return text;
}

// True if a volume is mounted here from one of the devices that `pid` holds. Not known of mounts
// elsewhere, or under a name of their own (fsname=).
bool serves_a_mount(int pid) {
    std::ifstream mounts("/proc/self/mounts");
    for (std::string line; std::getline(mounts, line);) {
        std::istringstream fields(line);
        std::string source, mountpoint, type;
        fields >> source >> mountpoint >> type;
        if (type == "fuse.daxpinfs" && lock_holder(unescape(source)) == pid)
            return true;
    }
    return false;
}

// Whether it is no use to wait: what is mounted stays, and what we have ourselves, too.
bool stays_in_use(const std::string &path) {
    const auto pid = lock_holder(path);
    return pid && (*pid == ::getpid() || serves_a_mount(*pid));
}

} // namespace

Result<void> take_in_use_lock(int fd, const std::string &path) {
    const auto end = Clock::now() + patience;
    while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return Error{from_errno(errno),
                         fmt::format("{}: cannot be locked: {}", path, std::strerror(errno))};
        if (stays_in_use(path) || Clock::now() >= end) {
            const auto pid = lock_holder(path);
            return Error{Errc::busy, fmt::format("{}: is in use by {}: unmount it first", path,
                                                 pid ? fmt::format("process {}", *pid)
                                                     : std::string("another process"))};
        }
        std::this_thread::sleep_for(look_period);
    }
    return {};
}

} // namespace daxpin::device
