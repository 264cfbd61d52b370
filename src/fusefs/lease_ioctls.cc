// SPDX-License-Identifier: BSD-3-Clause
//
// LEASE, RELEASE, EXTENTS, DEVICE and TICKET: what a program needs to map a file's blocks.
#include "fusefs/caller.h"
#include "fusefs/ioctls.h"

#include <cstring>
#include <daxpin/ioctl.h>
#include <sys/sysmacros.h>

namespace daxpin::fusefs {
namespace {

IoctlAnswer lease(Filesystem &fs, const volume::Caller &caller, const IoctlRequest &request) {
    DAXPIN_TRY_ASSIGN(auto lease, ioctl_in<daxpin_lease>(request, DAXPIN_PREPARE));
    if (lease.access != DAXPIN_LEASE_READ && lease.access != DAXPIN_LEASE_WRITE)
        return Errc::invalid;
    if (request.out_bytes < sizeof lease)
        return Errc::invalid; // before the lease is taken
    auto holder = caller;
    if (const auto process = process_of(caller.pid); process != 0)
        holder.pid = process; // libdaxpin's threads have ended when people look
    DAXPIN_TRY_ASSIGN(const auto granted,
                      fs.volume.lease(holder, request.inode, {lease.offset, lease.length},
                                      lease.access == DAXPIN_LEASE_WRITE,
                                      (lease.flags & DAXPIN_PREPARE) != 0, request.handle));
    lease.id = granted.id;
    lease.generation = {fs.volume.mount_id(), granted.generation};
    return ioctl_out(request, lease);
}

IoctlAnswer release(Filesystem &fs, const IoctlRequest &request) {
    DAXPIN_TRY_ASSIGN(const auto in, ioctl_in<daxpin_release>(request));
    DAXPIN_TRY(fs.volume.release_lease(request.inode, request.handle, in.id));
    return std::vector<std::byte>();
}

daxpin_extent to_extent(const volume::ExtentInfo &info) {
    daxpin_extent extent{};
    extent.file_offset = info.file_offset;
    extent.device_offset = info.device_offset;
    extent.length = info.length;
    extent.device = info.device;
    extent.flags = info.unwritten ? DAXPIN_EXTENT_UNWRITTEN : 0;
    return extent;
}

IoctlAnswer extents(Filesystem &fs, const IoctlRequest &request) {
    DAXPIN_TRY_ASSIGN(const auto in, ioctl_in<daxpin_extents>(request));
    const bool any_generation = in.generation.mount_id == 0 && in.generation.counter == 0;
    if (!any_generation && in.generation.mount_id != fs.volume.mount_id())
        return Errc::stale;
    DAXPIN_TRY_ASSIGN(const auto found,
                      fs.volume.extents(request.inode, request.handle, in.cursor,
                                        any_generation ? 0 : in.generation.counter,
                                        DAXPIN_EXTENTS_MAX));
    daxpin_extents out{};
    out.cursor = found.next;
    out.generation = {fs.volume.mount_id(), found.generation};
    for (const volume::ExtentInfo &extent : found.extents)
        out.extents[out.count++] = to_extent(extent);
    return ioctl_out(request, out);
}

IoctlAnswer ticket(Filesystem &fs, const volume::Caller &caller, const IoctlRequest &request) {
    DAXPIN_TRY_ASSIGN(const auto in, ioctl_in<daxpin_ticket>(request));
    if (fs.broker == nullptr)
        return Errc::unsupported;
    DAXPIN_TRY(fs.volume.is_write_lease(request.inode, request.handle, in.lease));
    const Tickets::Bytes bytes = fs.broker->issue({request.inode, request.handle, in.lease},
                                                  {caller.uid, process_of(caller.pid)});
    daxpin_ticket out{};
    out.lease = in.lease;
    std::memcpy(out.ticket, bytes.data(), sizeof out.ticket);
    fs.broker->path().copy(out.socket, sizeof out.socket - 1);
    return ioctl_out(request, out);
}

unsigned to_granularity(device::Domain domain) {
    switch (domain) {
    case device::Domain::byte:
        return DAXPIN_GRANULARITY_BYTE;
    case device::Domain::cache_line:
        return DAXPIN_GRANULARITY_CACHE_LINE;
    case device::Domain::page:
        return DAXPIN_GRANULARITY_PAGE;
    case device::Domain::none:
        return DAXPIN_GRANULARITY_NONE;
    }
    return DAXPIN_GRANULARITY_PAGE;
}

unsigned device_flags(const Filesystem &fs, const device::DeviceInfo &info,
                      const format::DeviceEntry &entry) {
    const auto role = static_cast<format::Role>(std::uint32_t{entry.role});
    unsigned flags = info.domain_assumed ? DAXPIN_DEVICE_ASSUMED : 0;
    if (fs.broker != nullptr)
        flags |= DAXPIN_DEVICE_BROKER;
    if (role != format::Role::data)
        flags |= DAXPIN_DEVICE_METADATA;
    if (role != format::Role::metadata)
        flags |= DAXPIN_DEVICE_DATA;
    return flags;
}

IoctlAnswer device(Filesystem &fs, const IoctlRequest &request) {
    DAXPIN_TRY_ASSIGN(const auto in, ioctl_in<daxpin_device>(request, flags_are_out));
    const auto &devices = fs.volume.devices();
    if (in.index >= devices.count())
        return Errc::invalid;
    const device::DeviceInfo &info = devices.at(in.index).info();
    const format::Superblock &superblock = fs.volume.superblock();
    daxpin_device out{};
    if (info.path.size() >= sizeof out.path)
        return Errc::name_too_long;
    out.index = in.index;
    out.flags = device_flags(fs, info, superblock.devices[in.index]);
    out.count = devices.count();
    out.granularity = to_granularity(info.domain);
    out.size = superblock.devices[in.index].block_count * block_size;
    out.mapping_unit = info.mapping_unit;
    out.numa_node = info.numa_node;
    out.number = major(info.number) << 20 | minor(info.number);
    std::memcpy(out.volume_uuid, superblock.volume_uuid, sizeof out.volume_uuid);
    std::memcpy(out.uuid, superblock.devices[in.index].device_uuid, sizeof out.uuid);
    std::memcpy(out.path, info.path.c_str(), info.path.size() + 1);
    return ioctl_out(request, out);
}

// Leases belong to an open file; a directory has none.
Result<void> need_file(const IoctlRequest &request) {
    if (request.handle == 0)
        return Errc::invalid;
    return {};
}

} // namespace

IoctlAnswer lease_ioctl(Filesystem &fs, const volume::Caller &caller, const IoctlRequest &request) {
    switch (request.command) {
    case DAXPIN_IOC_LEASE:
        DAXPIN_TRY(need_file(request));
        return lease(fs, caller, request);
    case DAXPIN_IOC_RELEASE:
        DAXPIN_TRY(need_file(request));
        return release(fs, request);
    case DAXPIN_IOC_EXTENTS:
        DAXPIN_TRY(need_file(request));
        return extents(fs, request);
    case DAXPIN_IOC_TICKET:
        DAXPIN_TRY(need_file(request));
        return ticket(fs, caller, request);
    case DAXPIN_IOC_DEVICE:
        return device(fs, request);
    default:
        return Errc::not_a_tty;
    }
}

} // namespace daxpin::fusefs
