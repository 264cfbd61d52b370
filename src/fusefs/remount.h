// SPDX-License-Identifier: BSD-3-Clause
//
// mount -o remount: the kernel's mount and the daemon's volume become read-only or writable.
#pragma once

#include "base/result.h"
#include "fusefs/options.h"

namespace daxpin::fusefs {

// Only ro and rw change; the other options stay as they were.
// ERRORS, each with a text: invalid (no daxpin mount there), busy, not_permitted, read_only.
Result<void> remount(const DaemonOptions &options);

} // namespace daxpin::fusefs
