// SPDX-License-Identifier: BSD-3-Clause
#include "crash/progress.h"

#include <cstdio>
#include <unistd.h>

namespace daxpin::crash {

namespace {

constexpr double seconds_between_lines = 60;
constexpr double seconds_between_updates = 0.5;

} // namespace

Progress::Progress(std::size_t units, const Counters &before)
    : units_(units), states_before_(before.states), terminal_(isatty(STDERR_FILENO) != 0),
      next_(terminal_ ? 0 : seconds_between_lines) {}

double Progress::seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

void Progress::write(std::size_t units_done, std::uint64_t states, std::uint64_t violations) const {
    std::fprintf(stderr, "%s%zu/%zu units, %llu states, %.0f states/s, %llu violations%s",
                 terminal_ ? "\r\033[K" : "", units_done, units_,
                 static_cast<unsigned long long>(states),
                 static_cast<double>(states - states_before_) / seconds(),
                 static_cast<unsigned long long>(violations), terminal_ ? "" : "\n");
    std::fflush(stderr);
}

void Progress::show(std::size_t units_done, const Counters &finished, const Counters &under_way) {
    if (seconds() < next_)
        return;
    next_ = seconds() + (terminal_ ? seconds_between_updates : seconds_between_lines);
    shown_ = true;
    write(units_done, finished.states + under_way.states,
          finished.violations + under_way.violations);
}

void Progress::end() {
    if (terminal_ && shown_)
        std::fprintf(stderr, "\r\033[K");
}

} // namespace daxpin::crash
