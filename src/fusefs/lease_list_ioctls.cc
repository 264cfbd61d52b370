// SPDX-License-Identifier: BSD-3-Clause
//
// LEASES, QUARANTINE, BREAK and FORGET: what the administrator sees of leases, and says about them.
#include "fusefs/ioctls.h"

#include <daxpin/ioctl.h>
#include <unistd.h>

namespace daxpin::fusefs {
namespace {

constexpr std::uint64_t at_end = ~std::uint64_t{0};

daxpin_lease_info to_wire(const volume::LeaseInfo &info) {
    daxpin_lease_info out{};
    out.inode = info.inode.value;
    out.id = info.lease.id;
    out.offset = info.lease.range.first.bytes();
    out.length = info.lease.range.count.bytes();
    out.granted_ns = static_cast<__u64>(info.lease.holder.granted_ns);
    out.access = info.lease.write ? DAXPIN_LEASE_WRITE : DAXPIN_LEASE_READ;
    out.uid = info.lease.holder.uid;
    out.pid = info.lease.holder.pid;
    out.flags = info.lease.asked_back_until_ns ? DAXPIN_LEASE_ASKED_BACK : 0;
    return out;
}

IoctlAnswer leases(Filesystem &fs, const IoctlRequest &request) {
    DAXPIN_TRY_ASSIGN(const auto in, large_ioctl_in<daxpin_leases>(request));
    const auto out = std::make_unique<daxpin_leases>();
    out->cursor_inode = at_end;
    for (const auto &info :
         fs.volume.leases({in->cursor_inode}, in->cursor_id, DAXPIN_LEASES_MAX + 1)) {
        if (out->count == DAXPIN_LEASES_MAX) {
            out->cursor_inode = info.inode.value;
            out->cursor_id = info.lease.id;
            break;
        }
        out->leases[out->count++] = to_wire(info);
    }
    return ioctl_out(request, *out);
}

IoctlAnswer quarantine(Filesystem &fs, const IoctlRequest &request) {
    DAXPIN_TRY_ASSIGN(const auto in, large_ioctl_in<daxpin_quarantine>(request));
    const auto out = std::make_unique<daxpin_quarantine>();
    DAXPIN_TRY_ASSIGN(const auto page, fs.volume.quarantine({in->cursor}, DAXPIN_QUARANTINE_MAX));
    out->cursor = page.next ? page.next->value : at_end;
    for (const auto &info : page.files) {
        auto &file = out->files[out->count++];
        file.inode = info.inode.value;
        file.generation = info.generation;
        file.bytes = info.bytes;
        file.flags = info.lost ? DAXPIN_QUARANTINE_LOST : 0;
    }
    return ioctl_out(request, *out);
}

IoctlAnswer ask_back(Filesystem &fs, const volume::Caller &caller, const IoctlRequest &request) {
    DAXPIN_TRY(ioctl_in<daxpin_break>(request));
    DAXPIN_TRY(fs.volume.ask_leases_back(caller, request.inode));
    if (fs.pollers != nullptr)
        fs.pollers->wake(request.inode);
    return std::vector<std::byte>();
}

IoctlAnswer forget(Filesystem &fs, const IoctlRequest &request) {
    DAXPIN_TRY(ioctl_in<daxpin_forget>(request));
    DAXPIN_TRY(fs.volume.forget_leases(request.inode));
    fs.background.kick();
    return std::vector<std::byte>();
}

} // namespace

IoctlAnswer lease_list_ioctl(Filesystem &fs, const volume::Caller &caller,
                             const IoctlRequest &request) {
    if (request.command == DAXPIN_IOC_BREAK)
        return ask_back(fs, caller, request);
    const bool asks =
        request.command == DAXPIN_IOC_LEASES || request.command == DAXPIN_IOC_QUARANTINE;
    if (!asks && request.command != DAXPIN_IOC_FORGET)
        return Errc::not_a_tty;
    if (caller.uid != 0 && caller.uid != ::geteuid())
        return Errc::not_permitted;
    if (request.command == DAXPIN_IOC_LEASES)
        return leases(fs, request);
    return asks ? quarantine(fs, request) : forget(fs, request);
}

} // namespace daxpin::fusefs
