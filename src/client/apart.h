// SPDX-License-Identifier: BSD-3-Clause
//
// Opening a file of the program again, and closing it, without a trace in the program.
//
// To close any descriptor of a file ends all record locks on it (F_SETLK in fcntl(2)) that were
// taken through the same table of descriptors: all those of the process. So what opens such a file
// runs in a thread with a table of its own, which ends with the call; memory, and with it what is
// mapped, is the same. The thread takes no signal. Where none can be made, or it gets no table of
// its own (a sandbox refuses), everything is done all the same, and the locks are lost.
#pragma once

#include "base/result.h"

#include <new>
#include <optional>
#include <string>
#include <type_traits>

namespace daxpin::client {

// A path to the descriptor of the calling thread, good in others that live meanwhile.
// ERRORS: those of readlink(2), where /proc is not mounted.
Result<std::string> path_of_descriptor(int fd);

// Calls `call` in such a thread, and waits.
void run_apart(void (*call)(void *), void *argument);

// The result of `body`, which was run in such a thread. No descriptor may leave it, but the
// standard ones, 0 to 2, are there.
template <typename Body> std::invoke_result_t<Body> apart(Body body) {
    struct Call {
        Body &body;
        std::optional<std::invoke_result_t<Body>> result = std::nullopt;
    } call{body};
    run_apart(
        [](void *argument) {
            auto &made = *static_cast<Call *>(argument);
            try {
                made.result.emplace(made.body());
            } catch (const std::bad_alloc &) { // thrown again by the thread that waits
                made.result.reset();
            }
        },
        &call);
    if (!call.result)
        throw std::bad_alloc();
    return *std::move(call.result);
}

} // namespace daxpin::client
