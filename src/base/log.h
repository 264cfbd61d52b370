// SPDX-License-Identifier: BSD-3-Clause
//
// One line to whoever runs the program: stderr, or the sink that the program has set.
//
// Thread-safe; set sink and level before the threads start. Operations answer their caller with
// a Result, so a line here is for what no caller waits for.
#pragma once

#include <string_view>

namespace daxpin {

enum class LogLevel { error, warning, info, debug };

// `line` has no newline and lives only for the call.
using LogSink = void (*)(LogLevel level, std::string_view line);

// Null restores the default: "program: line" on stderr.
void set_log_sink(LogSink sink) noexcept;

// Lines above `level` are dropped; info at the start.
void set_log_level(LogLevel level) noexcept;

void log(LogLevel level, std::string_view line) noexcept;

} // namespace daxpin
