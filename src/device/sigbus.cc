// SPDX-License-Identifier: BSD-3-Clause
#include "device/sigbus.h"

#include "base/assert.h"
#include "device/lost_pages.h"

#include <csignal>
#include <mutex>
#include <ucontext.h>

namespace daxpin::device {

thread_local SigbusGuard *volatile sigbus_guard = nullptr;

namespace {

struct sigaction previous_action;

// What would have happened without our handler.
void pass_on(int signal, siginfo_t *info, void *context) {
    if ((previous_action.sa_flags & SA_SIGINFO) != 0) {
        previous_action.sa_sigaction(signal, info, context);
    } else if (previous_action.sa_handler == SIG_IGN && info->si_code <= 0) {
        return;
    } else if (previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN) {
        previous_action.sa_handler(signal);
    } else {
        // Returning repeats the access, which now ends the process with a core at the right
        // place; a signal that somebody sent does not come again by itself.
        struct sigaction by_default = {};
        by_default.sa_handler = SIG_DFL;
        ::sigaction(signal, &by_default, nullptr);
        if (info->si_code <= 0)
            ::raise(signal);
    }
}

void handle_sigbus(int signal, siginfo_t *info, void *context) {
    SigbusGuard *const guard = sigbus_guard;
    const auto *address = static_cast<const std::byte *>(info->si_addr);
    const bool is_access = info->si_code == BUS_ADRERR || info->si_code == BUS_MCEERR_AR;
    // The address of a machine check is exact only down to a page (si_addr_lsb): compare pages.
    constexpr std::size_t page_mask = 4095;
    if (guard && is_access && address < guard->end &&
        reinterpret_cast<std::size_t>(address) >=
            (reinterpret_cast<std::size_t>(guard->begin) & ~page_mask)) {
        // The jump restores no mask, and whoever wraps handlers (ThreadSanitizer does) may have
        // blocked SIGBUS for this one: the next fault would then be the last.
        ::pthread_sigmask(SIG_SETMASK, &static_cast<ucontext_t *>(context)->uc_sigmask, nullptr);
        siglongjmp(guard->back, 1);
    }
    if (info->si_code == BUS_MCEERR_AO) // nobody has touched that page yet
        put_lost_page(address, static_cast<unsigned>(info->si_addr_lsb));
    else
        pass_on(signal, info, context);
}

} // namespace

void install_sigbus_handler() {
    static std::once_flag once;
    std::call_once(once, [] {
        struct sigaction action = {};
        action.sa_sigaction = handle_sigbus;
        action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART;
        const int installed = ::sigaction(SIGBUS, &action, &previous_action);
        DAXPIN_ASSERT(installed == 0);
        ask_for_lost_pages();
    });
}

} // namespace daxpin::device
