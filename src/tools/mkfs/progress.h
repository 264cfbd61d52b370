// SPDX-License-Identifier: BSD-3-Clause
//
// Progress: a bar on the terminal (standard error) for work that takes longer than a second.
// Says nothing where standard error is no terminal.
#pragma once

#include <chrono>
#include <string>

namespace daxpin::mkfs {

class Progress {
  public:
    explicit Progress(bool wanted);
    ~Progress() { clear(); }
    Progress(const Progress &) = delete;
    Progress &operator=(const Progress &) = delete;

    // `done` of `what` from 0 to 1.
    void show(const std::string &what, double done);
    void clear();

  private:
    using Clock = std::chrono::steady_clock;
    const bool on_terminal_;
    const Clock::time_point start_ = Clock::now();
    int percent_ = -1; // shown last
};

} // namespace daxpin::mkfs
