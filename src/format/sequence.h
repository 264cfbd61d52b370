// SPDX-License-Identifier: BSD-3-Clause
//
// The bound of a journal's sequences: docs/format.md, "Tail cell".
#pragma once

#include <cstdint>

namespace daxpin::format {

// No valid tail reaches it, so sums of a sequence and a ring's size do not overflow.
inline constexpr std::uint64_t tail_limit = std::uint64_t{1} << 63;

} // namespace daxpin::format
