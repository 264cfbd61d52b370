// SPDX-License-Identifier: BSD-3-Clause
//
// For benchmarks of what is inside: a failure ends the program, with its text.
#pragma once

#include "base/result.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

namespace daxpin::bench {

[[noreturn]] inline void fail(const std::string &what) {
    std::fprintf(stderr, "bench: %s\n", what.c_str());
    std::exit(1);
}

template <typename T> T must(Result<T> result) {
    if (!result)
        fail(describe(result.error()));
    return *std::move(result);
}

inline void must(Result<void> result) {
    if (!result)
        fail(describe(result.error()));
}

} // namespace daxpin::bench
