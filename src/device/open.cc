// SPDX-License-Identifier: BSD-3-Clause
#include "device/open.h"

#include "base/unique_fd.h"
#include "device/in_use.h"
#include "device/pmem2_device.h"
#include "device/sysfs.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <sys/stat.h>

namespace daxpin::device {
namespace {

struct SourceDelete {
    void operator()(pmem2_source *source) const { pmem2_source_delete(&source); }
};

Error open_error(const std::string &path, int number, const OpenOptions &options) {
    const char *reason = std::strerror(number);
    switch (number) {
    case ENOENT:
        return {Errc::missing,
                fmt::format("{}: {}: check the name, or make a file with mkfs.daxpinfs --size",
                            path, reason)};
    case EACCES:
    case EPERM:
        return {Errc::access,
                fmt::format("{}: {}: run as root, or as a user who may read and write it", path,
                            reason)};
    case EROFS:
        return {Errc::read_only,
                fmt::format("{}: {}: {}", path, reason, options.remedies.not_writable)};
    default:
        return {from_errno(number), fmt::format("{}: cannot be opened: {}", path, reason)};
    }
}

Error block_device_error(const std::string &path, dev_t number) {
    return {Errc::invalid,
            fmt::format("{}: is a block device, which maps only through the page cache: make it "
                        "device DAX with 'ndctl create-namespace -f -e {} -m devdax' (all it holds "
                        "is lost), or put a DAX filesystem on it and name a file there",
                        path, namespace_name(number))};
}

Error system_ram_error(const std::string &path) {
    return {Errc::busy,
            fmt::format("{}: the kernel uses it as ordinary memory (mode system-ram): free it with "
                        "'daxctl reconfigure-device --mode=devdax --force {}'",
                        path, std::filesystem::path(path).filename().string())};
}

Result<void> check_kind(const std::string &path, const struct stat &status) {
    if (S_ISREG(status.st_mode))
        return {};
    if (S_ISBLK(status.st_mode))
        return block_device_error(path, status.st_rdev);
    if (S_ISCHR(status.st_mode) && is_device_dax(status.st_rdev))
        return {};
    const char *kind = S_ISDIR(status.st_mode)   ? "a directory"
                       : S_ISCHR(status.st_mode) ? "a character device other than device DAX"
                                                 : "neither a file nor a device";
    return Error{Errc::invalid,
                 fmt::format("{}: is {}: name a device DAX (/dev/daxX.Y) or a file", path, kind)};
}

// st_size of device DAX is 0; libpmem2 asks /sys.
Result<void> ask_size_and_unit(int fd, const struct stat &status, DeviceInfo &info) {
    info.mapping_unit = block_size;
    if (S_ISREG(status.st_mode)) {
        info.size = static_cast<std::uint64_t>(status.st_size);
        return {};
    }
    pmem2_source *source = nullptr;
    std::size_t size = 0;
    std::size_t alignment = 0;
    int code = pmem2_source_from_fd(&source, fd);
    const std::unique_ptr<pmem2_source, SourceDelete> owner(source);
    if (code == 0)
        code = pmem2_source_size(source, &size);
    if (const auto told = dax_alignment(status.st_rdev))
        alignment = *told;
    else if (code == 0)
        code = pmem2_source_alignment(source, &alignment);
    if (code != 0)
        return Error{Errc::invalid, fmt::format("{}: size and alignment cannot be found: {}",
                                                info.path, pmem2_errormsg())};
    if (alignment < block_size || (alignment & (alignment - 1)) != 0)
        return Error{Errc::invalid, fmt::format("{}: maps in units of {} bytes: make it anew with "
                                                "'ndctl create-namespace -f -m devdax -a 2M'",
                                                info.path, alignment)};
    info.size = size;
    info.mapping_unit = alignment;
    return {};
}

// NVDIMMs count them; an ordinary file, a namespace on ordinary memory and most virtual machines
// do not.
std::optional<std::uint64_t> ask_unsafe_shutdowns(int fd) {
    pmem2_source *source = nullptr;
    std::uint64_t count = 0;
    if (pmem2_source_from_fd(&source, fd) != 0)
        return std::nullopt;
    const std::unique_ptr<pmem2_source, SourceDelete> owner(source);
    if (pmem2_source_device_usc(source, &count) != 0)
        return std::nullopt;
    return count;
}

Result<DeviceInfo> ask_device(int fd, const std::string &path, const OpenOptions &options) {
    struct stat status;
    if (::fstat(fd, &status) != 0)
        return open_error(path, errno, options);
    DAXPIN_TRY(check_kind(path, status));
    DeviceInfo info;
    info.path = path;
    info.read_only = options.read_only;
    DAXPIN_TRY(ask_size_and_unit(fd, status, info));
    if (info.size < info.mapping_unit)
        return Error{Errc::invalid,
                     fmt::format("{}: its size is {} bytes, less than the {} that map: make a file "
                                 "with mkfs.daxpinfs --size",
                                 path, info.size, info.mapping_unit)};
    // The odd end of a file is never used; its label tells whether anything is missing.
    info.size -= info.size % info.mapping_unit;
    const bool is_character_device = S_ISCHR(status.st_mode);
    info.unsafe_shutdowns = ask_unsafe_shutdowns(fd);
    info.number = is_character_device ? status.st_rdev : 0;
    info.numa_node =
        numa_node(is_character_device ? status.st_rdev : status.st_dev, is_character_device);
    return info;
}

} // namespace

Result<std::unique_ptr<Device>> open_device(const std::string &path, const OpenOptions &options) {
    // Looked at before it is opened: opening a tape or a pipe does things.
    struct stat status;
    if (::stat(path.c_str(), &status) != 0)
        return open_error(path, errno, options);
    DAXPIN_TRY(check_kind(path, status));
    if (S_ISCHR(status.st_mode) && is_system_ram(status.st_rdev))
        return system_ram_error(path);
    const int access = options.read_only ? O_RDONLY : O_RDWR;
    UniqueFd fd(::open(path.c_str(), access | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!fd)
        return open_error(path, errno, options);
    DAXPIN_TRY_ASSIGN(DeviceInfo info, ask_device(fd.get(), path, options));
    if (options.exclusive)
        DAXPIN_TRY(take_in_use_lock(fd.get(), path));
    return Pmem2Device::map(std::move(fd), std::move(info), options.domain);
}

} // namespace daxpin::device
