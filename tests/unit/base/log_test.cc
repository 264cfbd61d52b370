// SPDX-License-Identifier: BSD-3-Clause
#include "base/log.h"

#include "support/catch.h"

#include <string>
#include <vector>

namespace daxpin {
namespace {

std::vector<std::string> lines;

void keep(LogLevel level, std::string_view line) {
    lines.push_back(std::to_string(static_cast<int>(level)) + ":" + std::string(line));
}

} // namespace

TEST_CASE("log: lines reach the sink, those above the level do not", "[log]") {
    lines.clear();
    set_log_sink(keep);
    set_log_level(LogLevel::warning);
    log(LogLevel::error, "a");
    log(LogLevel::warning, "b");
    log(LogLevel::info, "c");
    set_log_level(LogLevel::info);
    log(LogLevel::info, "d");
    log(LogLevel::debug, "e");
    set_log_sink(nullptr);
    CHECK(lines == std::vector<std::string>{"0:a", "1:b", "2:d"});
}

} // namespace daxpin
