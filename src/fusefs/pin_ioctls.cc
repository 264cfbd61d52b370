// SPDX-License-Identifier: BSD-3-Clause
//
// PIN, UNPIN, EXTEND, STATUS and SYNC.
#include "fusefs/ioctls.h"

#include <daxpin/ioctl.h>

namespace daxpin::fusefs {
namespace {

struct RangeRequest {
    immutable::ByteRange range;
    std::uint64_t align;
    bool prepare;
};

// `allowed` names the flags of this ioctl; only PIN takes an alignment.
Result<RangeRequest> range_in(const IoctlRequest &request, unsigned allowed, bool takes_align) {
    DAXPIN_TRY_ASSIGN(const auto in, ioctl_in<daxpin_range>(request, allowed));
    if (in.align != 0 && !takes_align)
        return Errc::invalid;
    return RangeRequest{{in.offset, in.length}, in.align, (in.flags & DAXPIN_PREPARE) != 0};
}

// An ioctl on a directory has no handle, which to the volume means "by attribute".
Result<void> need_file(const IoctlRequest &request) {
    if (request.handle == 0)
        return Errc::invalid;
    return {};
}

IoctlAnswer pin(Filesystem &fs, const volume::Caller &caller, const IoctlRequest &request) {
    DAXPIN_TRY_ASSIGN(const auto in, range_in(request, DAXPIN_PREPARE, true));
    volume::PinRequest wanted;
    wanted.range = in.range;
    wanted.align = in.align;
    wanted.prepare = in.prepare;
    wanted.handle = request.handle;
    DAXPIN_TRY(fs.volume.pin(caller, request.inode, wanted));
    return std::vector<std::byte>();
}

IoctlAnswer unpin(Filesystem &fs, const volume::Caller &caller, const IoctlRequest &request) {
    DAXPIN_TRY_ASSIGN(const auto in, range_in(request, 0, false));
    DAXPIN_TRY(fs.volume.unpin(caller, request.inode, in.range, request.handle));
    return std::vector<std::byte>();
}

IoctlAnswer extend(Filesystem &fs, const volume::Caller &caller, const IoctlRequest &request) {
    DAXPIN_TRY_ASSIGN(const auto in, ioctl_in<daxpin_extension>(request));
    DAXPIN_TRY(fs.volume.extend(caller, request.inode, in.length, request.handle));
    return std::vector<std::byte>();
}

unsigned status_flags(const volume::PinStatus &status, bool damaged) {
    return (damaged ? DAXPIN_STATUS_DAMAGED : 0) |
           (status.asked_back ? DAXPIN_STATUS_ASKED_BACK : 0) |
           (status.pinned ? DAXPIN_STATUS_PINNED : 0) | (status.whole ? DAXPIN_STATUS_WHOLE : 0) |
           (status.read_only ? DAXPIN_STATUS_READ_ONLY : 0) |
           (status.direct ? DAXPIN_STATUS_DIRECT : 0) |
           (status.prepare_total != 0 ? DAXPIN_STATUS_PREPARING : 0);
}

IoctlAnswer status(Filesystem &fs, const IoctlRequest &request) {
    DAXPIN_TRY(ioctl_in<daxpin_file_status>(request, flags_are_out));
    DAXPIN_TRY_ASSIGN(const auto found, fs.volume.pin_status(request.inode));
    daxpin_file_status out{};
    out.flags = status_flags(found, fs.volume.damage().count != 0);
    out.lease_count = static_cast<__u32>(found.lease_count);
    out.pinned_bytes = found.pinned_bytes;
    out.generation = {fs.volume.mount_id(), found.generation};
    out.prepare_done = found.prepare_done;
    out.prepare_total = found.prepare_total;
    return ioctl_out(request, out);
}

IoctlAnswer sync(Filesystem &fs, const IoctlRequest &request) {
    DAXPIN_TRY_ASSIGN(const auto in, range_in(request, 0, false));
    DAXPIN_TRY(fs.volume.sync_range(request.inode, in.range));
    return std::vector<std::byte>();
}

} // namespace

IoctlAnswer pin_ioctl(Filesystem &fs, const volume::Caller &caller, const IoctlRequest &request) {
    switch (request.command) {
    case DAXPIN_IOC_PIN:
        DAXPIN_TRY(need_file(request));
        return pin(fs, caller, request);
    case DAXPIN_IOC_UNPIN:
        DAXPIN_TRY(need_file(request));
        return unpin(fs, caller, request);
    case DAXPIN_IOC_EXTEND:
        DAXPIN_TRY(need_file(request));
        return extend(fs, caller, request);
    case DAXPIN_IOC_STATUS:
        DAXPIN_TRY(need_file(request));
        return status(fs, request);
    case DAXPIN_IOC_SYNC:
        DAXPIN_TRY(need_file(request));
        return sync(fs, request);
    default:
        return Errc::not_a_tty;
    }
}

} // namespace daxpin::fusefs
