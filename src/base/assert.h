// SPDX-License-Identifier: BSD-3-Clause
//
// DAXPIN_ASSERT: an invariant of the program. On in every build; a violation is a bug and ends
// the process before anything is stored. Bytes read from media are never asserted, they are
// checked and become Errc::corrupt.
#pragma once

namespace daxpin {

[[noreturn]] void assertion_failed(const char *condition, const char *file, int line) noexcept;

} // namespace daxpin

#define DAXPIN_ASSERT(condition)                                                                   \
    ((condition) ? static_cast<void>(0)                                                            \
                 : ::daxpin::assertion_failed(#condition, __FILE__, __LINE__))
