// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <csignal>
#include <cstddef>
#include <sys/syscall.h>
#include <unistd.h>

namespace daxpin::test {

// Sends this thread the signal by which the kernel tells of a page that it took away.
// False if the kernel does not let it.
inline bool tell_lost_page(const std::byte *address, short size_shift = 12) {
    siginfo_t info = {};
    info.si_signo = SIGBUS;
    info.si_code = BUS_MCEERR_AO;
    info.si_addr = const_cast<std::byte *>(address);
    info.si_addr_lsb = size_shift;
    return ::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), ::gettid(), SIGBUS, &info) == 0;
}

} // namespace daxpin::test
