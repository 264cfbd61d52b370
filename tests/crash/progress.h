// SPDX-License-Identifier: BSD-3-Clause
//
// Progress: one line that says how far a run is; rewritten in place on a terminal, otherwise
// repeated every minute.
#pragma once

#include "crash/counters.h"

#include <chrono>
#include <cstddef>

namespace daxpin::crash {

class Progress {
  public:
    // `before`: what earlier runs did; the rate is of this one.
    Progress(std::size_t units, const Counters &before);

    double seconds() const;
    void show(std::size_t units_done, const Counters &finished, const Counters &under_way);
    void end(); // leaves the line

  private:
    void write(std::size_t units_done, std::uint64_t states, std::uint64_t violations) const;

    const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    const std::size_t units_;
    const std::uint64_t states_before_;
    const bool terminal_;
    double next_ = 0;
    bool shown_ = false;
};

} // namespace daxpin::crash
