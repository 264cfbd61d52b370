// SPDX-License-Identifier: BSD-3-Clause
//
// What --json prints: one document, however many paths are asked about. For the main thread.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace daxpin::tool {

// Prints `value`; between begin_json_list() and end_json_list() it becomes one of the list that
// the latter prints. Bytes that are no UTF-8 are shown as U+FFFD.
void print_json(const nlohmann::json &value);

void begin_json_list();
void end_json_list();

} // namespace daxpin::tool
