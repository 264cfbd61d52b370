// SPDX-License-Identifier: BSD-3-Clause
//
// What the mount helper asks of a running daemon (wire/control.h), and how the volume is.
#include "base/log.h"
#include "fusefs/ioctls.h"
#include "wire/control.h"

#include <unistd.h>

namespace daxpin::fusefs {
namespace {

Result<void> check_writable_devices(const device::DeviceTable &devices) {
    for (unsigned i = 0; i < devices.count(); ++i)
        if (devices.at(i).info().read_only)
            return Errc::read_only;
    return {};
}

IoctlAnswer remount(Filesystem &fs, const IoctlRequest &request) {
    DAXPIN_TRY_ASSIGN(const auto in, ioctl_in<wire::ControlRemount>(request));
    if (in.read_only > 1)
        return Errc::invalid;
    const bool read_only = in.read_only == 1;
    if (!read_only)
        DAXPIN_TRY(check_writable_devices(fs.volume.devices()));
    DAXPIN_TRY(fs.volume.set_read_only(read_only));
    log(LogLevel::info, read_only ? "now read-only" : "now writable");
    return std::vector<std::byte>();
}

IoctlAnswer hello(Filesystem &fs, const IoctlRequest &request) {
    wire::ControlHello out{};
    out.pid = static_cast<__u32>(::getpid());
    out.read_only = fs.volume.read_only() ? 1 : 0;
    out.damaged =
        fs.options.volume.errors != volume::OnDamage::go_on && fs.volume.damage().count != 0 ? 1
                                                                                             : 0;
    return ioctl_out(request, out);
}

// For everybody, and any file.
IoctlAnswer damage(Filesystem &fs, const IoctlRequest &request) {
    DAXPIN_TRY(ioctl_in<daxpin_damage>(request, flags_are_out));
    const volume::DamageReport found = fs.volume.damage();
    daxpin_damage out{};
    out.count = found.count;
    out.flags = fs.volume.read_only() ? DAXPIN_DAMAGE_READ_ONLY : 0;
    found.first.copy(out.text, sizeof out.text - 1);
    return ioctl_out(request, out);
}

// For everybody, and any file.
IoctlAnswer volume_state(Filesystem &fs, const IoctlRequest &request) {
    DAXPIN_TRY(ioctl_in<daxpin_volume>(request, flags_are_out));
    daxpin_volume out{};
    out.flags = fs.options.prezero ? DAXPIN_VOLUME_PREZERO : 0;
    out.abi = DAXPIN_ABI;
    out.prezeroed_bytes = fs.volume.prezeroed_bytes();
    return ioctl_out(request, out);
}

} // namespace

IoctlAnswer control_ioctl(Filesystem &fs, const volume::Caller &caller,
                          const IoctlRequest &request) {
    if (request.command == DAXPIN_IOC_DAMAGE)
        return damage(fs, request);
    if (request.command == DAXPIN_IOC_VOLUME)
        return volume_state(fs, request);
    if (request.command != wire::control_remount && request.command != wire::control_hello)
        return Errc::not_a_tty;
    if (request.inode.value != format::root_inode)
        return Errc::not_a_tty;
    if (caller.uid != 0 && caller.uid != ::geteuid())
        return Errc::not_permitted;
    return request.command == wire::control_remount ? remount(fs, request) : hello(fs, request);
}

} // namespace daxpin::fusefs
