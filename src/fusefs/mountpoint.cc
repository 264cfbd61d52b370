// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/mountpoint.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <sys/stat.h>
#include <sys/statvfs.h>

namespace daxpin::fusefs {
namespace {

Result<std::string> real_path(const std::string &path) {
    struct Free {
        void operator()(char *text) const { std::free(text); }
    };
    const std::unique_ptr<char, Free> resolved(::realpath(path.c_str(), nullptr));
    if (resolved)
        return std::string(resolved.get());
    return from_errno(errno);
}

Error mountpoint_error(const std::string &path, int number) {
    if (number == ENOTCONN)
        return {Errc::busy, "mount point " + path +
                                ": its daemon has died; unmount it first: " + "umount -l " + path};
    if (number == ENOENT)
        return {Errc::not_found,
                "mount point " + path + " does not exist; make it: mkdir -p " + path};
    if (number == EACCES || number == EPERM)
        return {Errc::access, "mount point " + path + ": permission denied; choose a directory " +
                                  "that you may enter"};
    if (number == ENOTDIR)
        return {Errc::not_directory, "mount point " + path + " is not a directory; give one"};
    return {from_errno(number), "mount point " + path + ": " + to_string(from_errno(number))};
}

// mountinfo writes space, tab, newline and backslash as three octal digits.
std::string unescape(const std::string &field) {
    std::string plain;
    for (std::size_t i = 0; i < field.size(); ++i) {
        if (field[i] == '\\' && i + 3 < field.size()) {
            plain += static_cast<char>(std::stoi(field.substr(i + 1, 3), nullptr, 8));
            i += 3;
        } else {
            plain += field[i];
        }
    }
    return plain;
}

struct Mount {
    std::string device; // major:minor
    std::string type;
};

// The last mount on `path`, which hides the others.
std::optional<Mount> find_mount(const std::string &mountinfo, const std::string &path) {
    std::optional<Mount> found;
    std::istringstream lines(mountinfo);
    for (std::string line; std::getline(lines, line);) {
        // "36 35 98:0 /root /mountpoint options [tags...] - type source options"
        std::istringstream fields(line);
        Mount mount;
        std::string id, parent, root, point, word;
        fields >> id >> parent >> mount.device >> root >> point;
        while (fields >> word && word != "-") {
        }
        fields >> mount.type;
        if (unescape(point) == path)
            found = mount;
    }
    return found;
}

bool is_below(const std::string &path, const std::string &directory) {
    return path == directory || (path.starts_with(directory) &&
                                 (directory.ends_with('/') || path[directory.size()] == '/'));
}

} // namespace

std::string read_mountinfo() {
    std::ifstream file("/proc/self/mountinfo");
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

bool lists_mount(const std::string &mountinfo, const std::string &path) {
    const auto last = find_mount(mountinfo, path);
    return last && last->type != "autofs";
}

std::optional<unsigned> mounted_minor(const std::string &mountinfo, const std::string &path) {
    const auto last = find_mount(mountinfo, path);
    unsigned major = 0;
    unsigned minor = 0;
    if (!last || std::sscanf(last->device.c_str(), "%u:%u", &major, &minor) != 2)
        return std::nullopt;
    return minor;
}

Result<std::string> check_mountpoint(const std::string &path) {
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0)
        return mountpoint_error(path, errno);
    if (!S_ISDIR(st.st_mode))
        return mountpoint_error(path, ENOTDIR);
    auto resolved = real_path(path);
    if (!resolved)
        return mountpoint_error(path, to_errno(resolved.code()));
    if (!lists_mount(read_mountinfo(), *resolved))
        return resolved;
    // The kernel may still remember the attributes of a mount whose daemon is dead.
    struct statvfs st_fs {};
    if (::statvfs(resolved->c_str(), &st_fs) != 0)
        return mountpoint_error(path, errno);
    return Error{Errc::busy, "mount point " + path + " is busy: something is mounted there; " +
                                 "unmount it first: umount " + path};
}

Result<std::string> check_device_path(const std::string &path) {
    auto resolved = real_path(path);
    if (resolved)
        return resolved;
    if (resolved.code() == Errc::not_found)
        return Error{Errc::missing, "device " + path + " does not exist; make a volume first: " +
                                        "mkfs.daxpinfs (--size SIZE makes a file)"};
    if (resolved.code() == Errc::access)
        return Error{Errc::access, "device " + path + ": permission denied; mount as a user who " +
                                       "may open it"};
    return Error{resolved.code(), "device " + path + ": " + to_string(resolved.code())};
}

Result<void> check_apart(const std::string &device, const std::string &mountpoint) {
    if (is_below(device, mountpoint))
        return Error{Errc::invalid, "device " + device + " lies below the mount point " +
                                        mountpoint + "; mount elsewhere"};
    return {};
}

} // namespace daxpin::fusefs
