// SPDX-License-Identifier: BSD-3-Clause
//
// Who sent a request: ids from the request, capabilities from /proc.
//
// FUSE's pid is a thread's id and requests carry no capabilities. One counts only if the thread
// lives in the daemon's own user namespace: in another, anybody may have all of them.
#pragma once

#include "volume/types.h"

#include <cstdint>
#include <optional>
#include <sys/types.h>

namespace daxpin::fusefs {

// The caller of a request with these ids. Asks /proc only when it is asked for
// a capability or a supplementary group.
volume::Caller make_caller(uid_t uid, gid_t gid, mode_t umask, pid_t thread);

// The effective capabilities (bit n = capability n) of a thread in the daemon's user namespace;
// nothing if it is in another one, gone, 0 or not ours to look at.
std::optional<std::uint64_t> effective_capabilities(pid_t thread);

// False as well if the thread is gone, or 0 because it lives in another pid namespace.
bool has_supplementary_group(pid_t thread, gid_t group);

// The process of a thread; 0 if it is gone, or lives in another pid namespace.
pid_t process_of(pid_t thread);

} // namespace daxpin::fusefs
