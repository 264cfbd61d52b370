// SPDX-License-Identifier: BSD-3-Clause
#include "journal/outcomes.h"

#include "base/assert.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace daxpin::journal {

void Outcomes::add(MediaBlock unit, Sequence stands_at, std::size_t bytes) {
    DAXPIN_ASSERT(unit.device() == 0 && bytes <= Stretch::bytes_max);
    if (!all_.empty()) {
        Stretch &last = all_.back();
        if (last.unit() == unit && last.stands_at + last.bytes == stands_at &&
            last.bytes + bytes <= Stretch::bytes_max) {
            last.bytes += bytes;
            return;
        }
    }
    all_.push_back({unit.block(), bytes, stands_at});
}

// A radix sort: it keeps the order of those of one unit.
void Outcomes::sort_by_unit() {
    constexpr unsigned digit_bits = 11;
    const auto digit = [](const Stretch &stretch, unsigned shift) {
        return (stretch.block >> shift) & ((1U << digit_bits) - 1);
    };
    std::uint64_t highest = 0;
    for (const auto &stretch : all_)
        highest = std::max<std::uint64_t>(highest, stretch.block);
    std::vector<Stretch> sorted(all_.size());
    for (unsigned shift = 0; shift < 48 && highest >> shift != 0; shift += digit_bits) {
        std::array<std::size_t, (1U << digit_bits) + 1> starts{};
        for (const auto &stretch : all_)
            ++starts[digit(stretch, shift) + 1];
        std::partial_sum(starts.begin(), starts.end(), starts.begin());
        for (const auto &stretch : all_)
            sorted[starts[digit(stretch, shift)]++] = stretch;
        all_.swap(sorted);
    }
}

} // namespace daxpin::journal
