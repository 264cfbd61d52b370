// SPDX-License-Identifier: BSD-3-Clause
//
// Progress: a bar on a terminal, shown once a check takes longer than half a second, or lines
// for a program that reads them (fsck -C fd).
#pragma once

#include <chrono>

namespace daxpin::fsck {

class Progress {
  public:
    // `line_fd` > 0: lines "pass done total device" for it; otherwise a bar on stderr if that
    // is a terminal.
    Progress(const char *device, int line_fd);
    ~Progress(); // takes the bar away

    void show(double done);

  private:
    void show_bar(int percent);

    using Clock = std::chrono::steady_clock;
    const char *device_;
    int line_fd_;
    bool terminal_;
    Clock::time_point start_ = Clock::now();
    int shown_percent_ = -1;
    bool drawn_ = false;
};

} // namespace daxpin::fsck
