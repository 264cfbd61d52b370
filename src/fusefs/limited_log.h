// SPDX-License-Identifier: BSD-3-Clause
//
// Log lines about failures that somebody may cause as often as they like.
#pragma once

#include <string_view>

namespace daxpin::fusefs {

// Logs an error, at most ten times a second over all callers; what exceeds that is dropped.
void log_limited(std::string_view line);

} // namespace daxpin::fusefs
