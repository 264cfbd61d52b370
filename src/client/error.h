// SPDX-License-Identifier: BSD-3-Clause
//
// Errors of libdaxpin: a negative errno, and one line of text kept per thread.
#pragma once

#include "base/result.h"

#include <string>

namespace daxpin::client {

// The error of a system call that just failed, with what was being done to what; its errno reaches
// the caller as it is.
Error system_error(const std::string &what);

// Keeps the text for daxpin_errormsg() and returns the number for the caller.
int report(const Error &error) noexcept;

} // namespace daxpin::client
