// SPDX-License-Identifier: BSD-3-Clause
#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace daxpin {

void assertion_failed(const char *condition, const char *file, int line) noexcept {
    std::fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
    std::fflush(stderr);
    std::abort();
}

} // namespace daxpin
