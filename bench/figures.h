// SPDX-License-Identifier: BSD-3-Clause
//
// What all benchmarks reckon with, whatever they link: the median, and the processor time of the
// calling thread, to which other programs add nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <ctime>
#include <vector>

namespace daxpin::bench {

// REQUIRES: not empty. Of an even number the upper one.
inline double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

inline double processor_seconds() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

} // namespace daxpin::bench
