// SPDX-License-Identifier: BSD-3-Clause
#include "client/error.h"

#include <cerrno>
#include <cstring>
#include <daxpin/daxpin.h>

namespace daxpin::client {

namespace {

// A fixed buffer: the text must be there when memory is not.
thread_local char last_text[512];

} // namespace

Error system_error(const std::string &what) {
    const int number = errno;
    return {from_errno(number), what + ": " + std::strerror(number), number};
}

int report(const Error &error) noexcept {
    std::strncpy(last_text, error.text.empty() ? to_string(error.code) : error.text.c_str(),
                 sizeof last_text - 1);
    return -to_errno(error);
}

} // namespace daxpin::client

extern "C" const char *daxpin_errormsg(void) {
    return daxpin::client::last_text;
}

extern "C" int daxpin_err_to_errno(int error) {
    return error < 0 ? -error : 0;
}
