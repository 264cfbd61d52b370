// SPDX-License-Identifier: BSD-3-Clause
#include "client/file.h"

#include "base/types.h"
#include "client/error.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <utility>

namespace daxpin::client {

namespace {

bool same(const daxpin_generation &a, const daxpin_generation &b) {
    return a.mount_id == b.mount_id && a.counter == b.counter;
}

Result<UniqueFd> open_again(const std::string &path, bool writable) {
    UniqueFd own(open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC));
    if (!own)
        return system_error("cannot open the file again");
    return own;
}

Result<bool> is_writable(int fd) {
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return system_error("cannot look at the descriptor");
    if ((flags & O_ACCMODE) == O_WRONLY)
        return Error{Errc::bad_handle, "a mapping needs a descriptor open for reading too"};
    return (flags & O_ACCMODE) == O_RDWR;
}

// Drops what lies before the range and joins what continues.
void append(std::vector<daxpin_extent> &extents, daxpin_extent extent, std::uint64_t from) {
    if (extent.file_offset + extent.length <= from)
        return;
    if (extent.file_offset < from) {
        extent.device_offset += from - extent.file_offset;
        extent.length -= from - extent.file_offset;
        extent.file_offset = from;
    }
    if (!extents.empty()) {
        auto &last = extents.back();
        if (last.device == extent.device && last.file_offset + last.length == extent.file_offset &&
            last.device_offset + last.length == extent.device_offset) {
            last.length += extent.length;
            return;
        }
    }
    extents.push_back(extent);
}

// Where the first gap is, or the end.
std::uint64_t covered_to(const std::vector<daxpin_extent> &extents, std::uint64_t from) {
    for (const auto &extent : extents) {
        if (extent.file_offset != from)
            break;
        from += extent.length;
    }
    return from;
}

Result<FileRange> find_range(int fd, std::uint64_t offset, std::uint64_t length) {
    // The size that the kernel remembers saves a round trip. It may be too small, after EXTEND, and
    // is none to go by where it decides the length.
    struct statx status;
    const auto look = [&](int how) {
        return statx(fd, "", AT_EMPTY_PATH | how, STATX_SIZE | STATX_INO, &status) == 0;
    };
    const auto within = [&] {
        return offset < status.stx_size && length <= status.stx_size - offset;
    };
    if (!look(length != 0 ? AT_STATX_DONT_SYNC : 0) || (!within() && !look(0)))
        return system_error("cannot look at the file");
    if (offset % block_size != 0 || !within())
        return Error{Errc::invalid, "the range is not within the file, or its start is not a "
                                    "multiple of 4096"};
    FileRange range;
    DAXPIN_TRY_ASSIGN(range.writable, is_writable(fd));
    range.mount = makedev(status.stx_dev_major, status.stx_dev_minor);
    range.inode = status.stx_ino;
    range.whole = offset == 0 && length == 0;
    range.offset = offset;
    range.length = length == 0 ? status.stx_size - offset : length;
    return range;
}

Result<daxpin_lease> take_lease(int fd, const FileRange &range, bool prepare) {
    daxpin_lease lease{};
    lease.offset = range.offset;
    lease.length = range.whole ? 0 : round_up(range.length, block_size);
    lease.access = range.writable ? DAXPIN_LEASE_WRITE : DAXPIN_LEASE_READ;
    lease.flags = prepare ? DAXPIN_PREPARE : 0;
    const auto leased = request(fd, DAXPIN_IOC_LEASE, &lease, "cannot lease the file");
    if (!leased && leased.code() == Errc::busy)
        return Error{Errc::busy,
                     std::string("cannot lease the file: it is open elsewhere in cached mode; "
                                 "close it, or open it with O_DIRECT") +
                         (prepare ? "; or PREPARE would move what somebody leases" : "")};
    DAXPIN_TRY(leased);
    return lease;
}

} // namespace

// The one request that every version knows tells the other reason apart.
Error unknown_request(int fd) {
    daxpin_volume volume{};
    if (ioctl(fd, DAXPIN_IOC_VOLUME, &volume) != 0)
        return {Errc::not_a_tty, "the file is not on a daxpin filesystem"};
    return {Errc::unsupported,
            "the filesystem's daemon does not know the request: it is of version " +
                std::to_string(volume.abi) + " of the interface, this library of version " +
                std::to_string(DAXPIN_ABI)};
}

Result<void> request(int fd, unsigned long command, void *argument, const char *what) {
    if (ioctl(fd, command, argument) == 0)
        return {};
    const int number = errno;
    if (number == ENOTTY)
        return unknown_request(fd);
    errno = number;
    return system_error(what);
}

Error unless_foreign(int fd, Error failure) {
    const auto asked = status_of(fd);
    return !asked && asked.code() == Errc::not_a_tty ? asked.error() : failure;
}

Result<FileRange> resolve_range(int fd, std::uint64_t offset, std::uint64_t length) {
    auto range = find_range(fd, offset, length);
    if (!range)
        return unless_foreign(fd, std::move(range).error());
    return range;
}

Result<LeasedFile> lease_file(const std::string &path, const FileRange &range, bool prepare) {
    LeasedFile file;
    DAXPIN_TRY_ASSIGN(file.fd, open_again(path, range.writable));
    DAXPIN_TRY_ASSIGN(const auto lease, take_lease(file.fd.get(), range, prepare));
    file.generation = lease.generation;
    file.lease = lease.id;
    return file;
}

Result<void> prepare_range(int fd, const FileRange &range) {
    const auto lease = take_lease(fd, range, true);
    if (!lease && lease.code() == Errc::bad_handle)
        return {}; // a path alone (O_PATH), of which nothing can be asked
    DAXPIN_TRY(lease);
    daxpin_release over{};
    over.id = lease->id;
    return request(fd, DAXPIN_IOC_RELEASE, &over, "cannot end a lease");
}

Result<std::vector<daxpin_extent>> leased_extents(const LeasedFile &file, const FileRange &range) {
    std::vector<daxpin_extent> extents;
    daxpin_extents page{};
    page.cursor = range.offset;
    while (page.cursor < range.end()) {
        page.generation = file.generation;
        page.count = 0;
        DAXPIN_TRY(request(file.fd.get(), DAXPIN_IOC_EXTENTS, &page, "cannot list the extents"));
        for (unsigned i = 0; i < page.count; ++i)
            append(extents, page.extents[i], range.offset);
    }
    if (covered_to(extents, range.offset) < range.end())
        return Error{Errc::invalid, "the file has a hole in the range: pin it with PREPARE first"};
    return extents;
}

Result<daxpin_file_status> status_of(int fd) {
    daxpin_file_status status{};
    DAXPIN_TRY(request(fd, DAXPIN_IOC_STATUS, &status, "cannot read the pin status"));
    return status;
}

Result<void> check_generation(int fd, const daxpin_generation &generation) {
    DAXPIN_TRY_ASSIGN(const auto status, status_of(fd));
    if (!same(status.generation, generation))
        return Errc::stale;
    return {};
}

bool is_asked_back(int fd) {
    pollfd asked{.fd = fd, .events = POLLPRI, .revents = 0};
    return poll(&asked, 1, 0) != 0;
}

void let_kernel_see_size(int fd) {
    struct statx status;
    static_cast<void>(statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_SIZE, &status));
}

Result<daxpin_device> device_of(const LeasedFile &file, unsigned index) {
    daxpin_device device{};
    device.index = index;
    DAXPIN_TRY(request(file.fd.get(), DAXPIN_IOC_DEVICE, &device, "cannot ask for the device"));
    return device;
}

} // namespace daxpin::client
