// SPDX-License-Identifier: BSD-3-Clause
//
// What the protocol says and libfuse 3.14 does not hand on. It is read from the raw request by the
// thread that received it, which is the thread that handles it (fuse_session_loop_mt).
//
// FUSE_HANDLE_KILLPRIV_V2: with it the kernel no longer asks for security.capability before each
// write; the daemon takes setuid, setgid and capabilities away itself, and a flag in WRITE, OPEN
// and SETATTR tells whether the caller must lose set-id bits (he has no CAP_FSETID).
//
// TMPFILE (open with O_TMPFILE, kernel 6.1): its argument and its reply are those of CREATE, so
// that libfuse is shown a CREATE, with a name that says nothing.
#pragma once

#include <cstddef>
#include <span>
#include <sys/uio.h>

namespace daxpin::fusefs {

// The session's read hook: a request has arrived in this thread. Changes it where libfuse must be
// shown something else.
void receive_request(std::span<std::byte> request);

// The session's write hook: accepts the feature in the reply to INIT, if the kernel offered it.
void amend_reply(std::span<const iovec> reply);

// About the request that this thread received last.
bool request_kills_set_id();    // false for those without such a flag
bool request_creates_unnamed(); // a CREATE that was a TMPFILE

} // namespace daxpin::fusefs
