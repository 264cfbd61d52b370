// SPDX-License-Identifier: BSD-3-Clause
//
// Access to mapped media that turns SIGBUS (poison, a page that is gone) into a return value.
//
// One handler is installed for the process's life. What the kernel tells of pages that were not
// accessed goes to lost_pages.h. A fault outside a guarded access, or outside
// the range it named, goes to whatever handled SIGBUS before. The jump out of the handler skips
// the frames of `access` alone: it must hold no lock and own nothing that needs a destructor.
// Thread-safe; accesses do not nest.
#pragma once

#include <atomic>
#include <csetjmp>
#include <cstddef>

namespace daxpin::device {

// To be called before the first guarded access; more calls do nothing.
void install_sigbus_handler();

struct SigbusGuard {
    const std::byte *begin;
    const std::byte *end;
    sigjmp_buf back;
};

// The calling thread's guarded access, or null.
extern thread_local SigbusGuard *volatile sigbus_guard;

// Runs access(), which touches no media but [begin, begin + length). False if that raised SIGBUS;
// then an unknown part of the access was done.
template <typename Access>
[[nodiscard]] bool guarded(const std::byte *begin, std::size_t length, Access access) noexcept {
    SigbusGuard guard;
    guard.begin = begin;
    guard.end = begin + length;
    // The handler restores the mask itself: saving it here would cost a system call each time.
    if (sigsetjmp(guard.back, 0) != 0) {
        sigbus_guard = nullptr;
        return false;
    }
    sigbus_guard = &guard;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    access();
    std::atomic_signal_fence(std::memory_order_seq_cst);
    sigbus_guard = nullptr;
    return true;
}

} // namespace daxpin::device
