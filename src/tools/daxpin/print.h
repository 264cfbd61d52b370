// SPDX-License-Identifier: BSD-3-Clause
//
// What --json prints: one document, however many paths are asked about. For the main thread.
#pragma once

#include <string>

namespace daxpin::tool {

// Prints a JSON document; between begin_json_list() and end_json_list() it becomes one of an
// array.
void print_json(const std::string &document);

void begin_json_list();
void end_json_list();

} // namespace daxpin::tool
