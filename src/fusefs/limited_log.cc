// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/limited_log.h"

#include "base/log.h"

#include <atomic>
#include <cstdint>
#include <ctime>

namespace daxpin::fusefs {

void log_limited(std::string_view line) {
    constexpr std::int64_t period_ms = 100;
    static std::atomic<std::int64_t> next_ms{0};
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const std::int64_t now_ms = now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
    std::int64_t next = next_ms.load();
    if (now_ms >= next && next_ms.compare_exchange_strong(next, now_ms + period_ms))
        log(LogLevel::error, line);
}

} // namespace daxpin::fusefs
