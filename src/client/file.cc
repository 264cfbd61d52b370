// SPDX-License-Identifier: BSD-3-Clause
#include "client/file.h"

#include "base/types.h"
#include "client/error.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

namespace daxpin::client {

namespace {

// ioctl() with a line of text for what people meet.
Result<void> request(int fd, unsigned long command, void *argument, const char *what) {
    if (ioctl(fd, command, argument) == 0)
        return {};
    const int number = errno;
    if (number == ENOTTY)
        return Error{Errc::not_a_tty, "the file is not on a daxpin filesystem"};
    if (number == EBUSY)
        return Error{Errc::busy, std::string(what) +
                                     ": the file is open elsewhere in cached mode; close it, or "
                                     "open it with O_DIRECT"};
    errno = number;
    return system_error(what);
}

bool same(const daxpin_generation &a, const daxpin_generation &b) {
    return a.mount_id == b.mount_id && a.counter == b.counter;
}

Result<UniqueFd> reopen(int fd, bool &writable) {
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return system_error("cannot look at the descriptor");
    writable = (flags & O_ACCMODE) == O_RDWR;
    if ((flags & O_ACCMODE) == O_WRONLY)
        return Error{Errc::bad_handle, "a mapping needs a descriptor open for reading too"};
    const auto path = "/proc/self/fd/" + std::to_string(fd);
    UniqueFd own(open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC));
    if (!own)
        return system_error("cannot open the file again");
    return own;
}

Result<std::uint64_t> length_to_map(int fd, std::uint64_t offset, std::uint64_t length) {
    struct stat status;
    if (fstat(fd, &status) != 0)
        return system_error("cannot look at the file");
    const auto size = static_cast<std::uint64_t>(status.st_size);
    if (offset % block_size != 0 || offset >= size || length > size - offset)
        return Error{Errc::invalid, "the range is not within the file, or its start is not a "
                                    "multiple of 4096"};
    const auto wanted = length == 0 ? size - offset : length;
    return (wanted + block_size - 1) / block_size * block_size;
}

// Clips to the leased range and joins what continues; false at the range's end.
bool append(std::vector<daxpin_extent> &extents, daxpin_extent extent, std::uint64_t from,
            std::uint64_t to) {
    const auto start = std::max<std::uint64_t>(extent.file_offset, from);
    const auto end = std::min<std::uint64_t>(extent.file_offset + extent.length, to);
    if (start >= end)
        return extent.file_offset < to;
    extent.device_offset += start - extent.file_offset;
    extent.file_offset = start;
    extent.length = end - start;
    if (!extents.empty()) {
        auto &last = extents.back();
        if (last.device == extent.device && last.file_offset + last.length == start &&
            last.device_offset + last.length == extent.device_offset) {
            last.length += extent.length;
            return end < to;
        }
    }
    extents.push_back(extent);
    return end < to;
}

} // namespace

Result<LeasedFile> lease_file(int fd, std::uint64_t offset, std::uint64_t length, bool prepare) {
    LeasedFile file;
    DAXPIN_TRY_ASSIGN(file.length, length_to_map(fd, offset, length));
    file.offset = offset;
    DAXPIN_TRY_ASSIGN(file.fd, reopen(fd, file.writable));
    daxpin_lease lease{};
    lease.offset = offset;
    lease.length = length == 0 && offset == 0 ? 0 : file.length;
    lease.access = file.writable ? DAXPIN_LEASE_WRITE : DAXPIN_LEASE_READ;
    lease.flags = prepare ? DAXPIN_PREPARE : 0;
    DAXPIN_TRY(request(file.fd.get(), DAXPIN_IOC_LEASE, &lease, "cannot lease the file"));
    file.generation = lease.generation;
    return file;
}

Result<std::vector<daxpin_extent>> leased_extents(const LeasedFile &file) {
    std::vector<daxpin_extent> extents;
    const auto end = file.offset + file.length;
    daxpin_extents page{};
    page.cursor = file.offset;
    bool more = true;
    while (more && page.cursor != ~std::uint64_t{0}) {
        page.generation = file.generation;
        page.count = 0;
        DAXPIN_TRY(request(file.fd.get(), DAXPIN_IOC_EXTENTS, &page, "cannot list the extents"));
        for (unsigned i = 0; i < page.count && more; ++i)
            more = append(extents, page.extents[i], file.offset, end);
    }
    auto expected = file.offset;
    for (const auto &extent : extents) {
        if (extent.file_offset != expected)
            break;
        expected += extent.length;
    }
    if (expected != end)
        return Error{Errc::invalid, "the file has a hole in the range: pin it with PREPARE first"};
    return extents;
}

Result<void> check_generation(const LeasedFile &file) {
    daxpin_status status{};
    DAXPIN_TRY(request(file.fd.get(), DAXPIN_IOC_STATUS, &status, "cannot read the pin status"));
    if (!same(status.generation, file.generation))
        return Errc::stale;
    return {};
}

Result<daxpin_device> device_of(const LeasedFile &file, unsigned index) {
    daxpin_device device{};
    device.index = index;
    DAXPIN_TRY(request(file.fd.get(), DAXPIN_IOC_DEVICE, &device, "cannot ask for the device"));
    return device;
}

} // namespace daxpin::client
