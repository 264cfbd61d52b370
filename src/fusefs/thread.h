// SPDX-License-Identifier: BSD-3-Clause
//
// Threads of the daemon beside libfuse's workers.
#pragma once

#include <functional>
#include <thread>

namespace daxpin::fusefs {

// Starts a thread that blocks all signals (they are the main thread's) and has a name that ps
// shows. REQUIRES: at most 15 bytes of name.
std::thread start_thread(const char *name, std::function<void()> work);

} // namespace daxpin::fusefs
