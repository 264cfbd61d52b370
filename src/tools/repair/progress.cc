// SPDX-License-Identifier: BSD-3-Clause
#include "tools/repair/progress.h"

#include <cstdio>
#include <string>
#include <unistd.h>

namespace daxpin::fsck {
namespace {

constexpr int bar_columns = 50;
constexpr auto bar_delay = std::chrono::milliseconds(500);

} // namespace

Progress::Progress(const char *device, int line_fd)
    : device_(device), line_fd_(line_fd), terminal_(line_fd <= 0 && isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
    if (drawn_)
        std::fputs("\r\033[K", stderr);
}

void Progress::show(double done) {
    const int percent = static_cast<int>(done * 100);
    if (percent == shown_percent_)
        return;
    shown_percent_ = percent;
    if (line_fd_ > 0)
        dprintf(line_fd_, "1 %d 100 %s\n", percent, device_);
    else if (terminal_ && Clock::now() - start_ >= bar_delay)
        show_bar(percent);
}

void Progress::show_bar(int percent) {
    const int filled = percent * bar_columns / 100;
    const std::string bar = std::string(filled, '#') + std::string(bar_columns - filled, ' ');
    std::fprintf(stderr, "\r%s: |%s| %3d%%", device_, bar.c_str(), percent);
    std::fflush(stderr);
    drawn_ = true;
}

} // namespace daxpin::fsck
