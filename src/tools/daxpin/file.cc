// SPDX-License-Identifier: BSD-3-Clause
#include "tools/daxpin/file.h"

#include "client/file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace daxpin::tool {

namespace {

const char *remedy(int number, unsigned long command) {
    switch (number) {
    case EBUSY:
        return " (it is open elsewhere in cached mode, or leased: close it there)";
    case EPERM:
        return " (only the owner may, or root, unless the mount's option pin= says otherwise; "
               "lsattr "
               "shows flags that forbid it)";
    case EINVAL:
        return command == DAXPIN_IOC_PIN || command == DAXPIN_IOC_UNPIN
                   ? " (not a regular file, empty, or the range is not aligned or has holes)"
                   : "";
    default:
        return "";
    }
}

Error plain_failure(const std::string &path) {
    const int number = errno;
    return {from_errno(number), path + ": " + std::strerror(number)};
}

// An error of the ioctl `command`, or of something else (0).
Error failure(const std::string &path, unsigned long command = 0) {
    const int number = errno;
    return {from_errno(number), path + ": " + std::strerror(number) + remedy(number, command)};
}

// Looked at before it is opened: opening a pipe waits, opening a device does things.
Result<void> check_kind(const std::string &path) {
    struct stat status;
    if (stat(path.c_str(), &status) != 0)
        return plain_failure(path);
    if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
        return Error{Errc::invalid, path + ": neither a regular file nor a directory"};
    return {};
}

} // namespace

Result<UniqueFd> open_file(const std::string &path, bool write) {
    DAXPIN_TRY(check_kind(path));
    UniqueFd fd(open(path.c_str(), (write ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC));
    if (!fd && errno == EINVAL) // a directory, or a filesystem without O_DIRECT
        fd = UniqueFd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd)
        return plain_failure(path);
    return fd;
}

Result<UniqueFd> open_below(int root, const std::string &path, const std::string &shown) {
    open_how how{};
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
    const UniqueFd found(
        static_cast<int>(syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
    if (!found && (errno == ELOOP || errno == EXDEV))
        return Error{Errc::invalid, shown + ": leads through a symbolic link or out of the mount"};
    if (!found)
        return plain_failure(shown);
    struct stat status;
    if (fstat(found.get(), &status) != 0)
        return plain_failure(shown);
    if (!S_ISREG(status.st_mode))
        return Error{Errc::invalid, shown + ": not a regular file"};
    const std::string again = "/proc/self/fd/" + std::to_string(found.get());
    UniqueFd fd(open(again.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
    if (!fd)
        return plain_failure(shown);
    return fd;
}

Result<void> request(const std::string &path, int fd, unsigned long command, void *argument) {
    if (ioctl(fd, command, argument) == 0)
        return {};
    if (errno != ENOTTY)
        return failure(path, command);
    const Error why = client::unknown_request(fd);
    return Error{why.code, path + ": " + why.text};
}

Result<std::optional<std::string>> attribute(const std::string &path, const char *name) {
    std::string text(65536, '\0');
    const auto length = getxattr(path.c_str(), name, text.data(), text.size());
    if (length < 0 && (errno == ENODATA || errno == EOPNOTSUPP))
        return std::optional<std::string>{};
    if (length < 0 && errno == E2BIG)
        return Error{Errc::too_big, path + ": the list of extents exceeds 64 KiB"};
    if (length < 0)
        return failure(path);
    text.resize(static_cast<std::size_t>(length));
    return std::optional(std::move(text));
}

Result<daxpin_file_status> status_of(const std::string &path, int fd) {
    daxpin_file_status status{};
    DAXPIN_TRY(request(path, fd, DAXPIN_IOC_STATUS, &status));
    return status;
}

namespace {

// Nothing where the daemon does not know the ioctl.
template <typename T>
Result<std::optional<T>> ask_volume(const std::string &path, unsigned long command) {
    DAXPIN_TRY_ASSIGN(const auto fd, open_file(path, false));
    T answer{};
    if (ioctl(fd.get(), command, &answer) == 0)
        return std::optional(answer);
    if (errno == ENOTTY)
        return std::optional<T>{};
    return failure(path);
}

} // namespace

Result<std::optional<daxpin_damage>> damage_of(const std::string &path) {
    return ask_volume<daxpin_damage>(path, DAXPIN_IOC_DAMAGE);
}

Result<std::optional<daxpin_volume>> volume_of(const std::string &path) {
    return ask_volume<daxpin_volume>(path, DAXPIN_IOC_VOLUME);
}

Result<std::vector<daxpin_device>> devices_of(const std::string &path) {
    DAXPIN_TRY_ASSIGN(const auto fd, open_file(path, false));
    std::vector<daxpin_device> devices;
    do {
        daxpin_device device{};
        device.index = static_cast<__u32>(devices.size());
        DAXPIN_TRY(request(path, fd.get(), DAXPIN_IOC_DEVICE, &device));
        devices.push_back(device);
    } while (devices.size() < devices[0].count);
    return devices;
}

const char *granularity_text(unsigned granularity) {
    switch (granularity) {
    case DAXPIN_GRANULARITY_BYTE:
        return "byte";
    case DAXPIN_GRANULARITY_CACHE_LINE:
        return "cache_line";
    case DAXPIN_GRANULARITY_PAGE:
        return "page";
    default:
        return "none";
    }
}

} // namespace daxpin::tool
