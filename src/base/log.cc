// SPDX-License-Identifier: BSD-3-Clause
#include "base/log.h"

#include <atomic>
#include <cerrno>
#include <cstdio>

namespace daxpin {
namespace {

void write_to_stderr(LogLevel, std::string_view line) {
    std::fprintf(stderr, "%s: %.*s\n", program_invocation_short_name, static_cast<int>(line.size()),
                 line.data());
}

std::atomic<LogSink> current_sink = write_to_stderr;
std::atomic<LogLevel> current_level = LogLevel::info;

} // namespace

void set_log_sink(LogSink sink) noexcept {
    current_sink = sink ? sink : write_to_stderr;
}

void set_log_level(LogLevel level) noexcept {
    current_level = level;
}

void log(LogLevel level, std::string_view line) noexcept {
    if (level <= current_level.load(std::memory_order_relaxed))
        current_sink.load(std::memory_order_acquire)(level, line);
}

} // namespace daxpin
