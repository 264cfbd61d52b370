// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mkfs/progress.h"

#include <cstdio>
#include <unistd.h>

namespace daxpin::mkfs {

namespace {

constexpr int bar_columns = 30;

} // namespace

Progress::Progress(bool wanted) : on_terminal_(wanted && isatty(STDERR_FILENO)) {}

void Progress::show(const std::string &what, double done) {
    const int percent = static_cast<int>(done * 100);
    if (!on_terminal_ || percent == percent_ || Clock::now() - start_ < std::chrono::seconds(1))
        return;
    percent_ = percent;
    const auto filled = static_cast<std::size_t>(bar_columns * percent / 100);
    std::string bar(filled, '#');
    bar.resize(bar_columns, '.');
    std::fprintf(stderr, "\r\033[K%s [%s] %3d %%", what.c_str(), bar.c_str(), percent);
    std::fflush(stderr);
}

void Progress::clear() {
    if (percent_ >= 0)
        std::fputs("\r\033[K", stderr);
    percent_ = -1;
}

} // namespace daxpin::mkfs
