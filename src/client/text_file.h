// SPDX-License-Identifier: BSD-3-Clause
//
// Reading a file of /proc or /sys. Its descriptor is none that a program inherits which another
// thread starts meanwhile, as one of std::ifstream is.
#pragma once

#include "base/result.h"

#include <string>

namespace daxpin::client {

// All of the file, to where it ends now. ERRORS: those of open(2) and read(2).
Result<std::string> read_text(const std::string &path);

} // namespace daxpin::client
