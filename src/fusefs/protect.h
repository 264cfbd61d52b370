// SPDX-License-Identifier: BSD-3-Clause
//
// What the daemon asks of the kernel for itself. Every program with a file open on the mount
// depends on it, memory reclaim included.
#pragma once

namespace daxpin::fusefs {

// The out-of-memory killer passes by, memory allocation does not wait for our own write-back,
// the working directory keeps no mount busy. What is not allowed is left. Call before threads
// start: they inherit it.
void protect_process();

} // namespace daxpin::fusefs
