// SPDX-License-Identifier: BSD-3-Clause
//
// What the mount helper says to a running daemon: ioctls on the mount's root directory, for root
// and the user who runs the daemon. Numbers from 64 on, apart from those of clients
// (include/daxpin/ioctl.h).
#pragma once

#include <daxpin/ioctl.h>

#include <type_traits>

namespace daxpin::wire {

struct ControlRemount {
    __u32 read_only; // 0 or 1: what the mount becomes
    __u32 reserved[7];
};
static_assert(sizeof(ControlRemount) == 32 && std::is_trivially_copyable_v<ControlRemount>);

struct ControlHello {
    __u32 pid; // of the daemon, in its own namespace
    __u32 read_only;
    __u32 damaged; // 0 or 1: metadata was found damaged, so it will not become writable
    __u32 reserved[5];
};
static_assert(sizeof(ControlHello) == 32 && std::is_trivially_copyable_v<ControlHello>);

inline constexpr unsigned control_remount = _IOW(DAXPIN_IOC_MAGIC, 64, ControlRemount);
inline constexpr unsigned control_hello = _IOR(DAXPIN_IOC_MAGIC, 65, ControlHello);

} // namespace daxpin::wire
