// SPDX-License-Identifier: BSD-3-Clause
#include "journal/outcomes.h"

#include <array>
#include <bitset>
#include <numeric>

namespace daxpin::journal {

namespace {

// The words of a unit that outcomes fill whole.
class Covered {
  public:
    // Adds those of one; false if all its bytes were covered before.
    bool add(const Outcome &outcome) {
        const std::size_t begin = outcome.offset, end = begin + outcome.length;
        bool uncovered = false;
        for (std::size_t word = begin / word_bytes; word * word_bytes < end; ++word) {
            uncovered |= !words_.test(word);
            if (word * word_bytes >= begin && (word + 1) * word_bytes <= end)
                words_.set(word);
        }
        return uncovered;
    }

  private:
    static constexpr std::size_t word_bytes = 8;
    std::bitset<block_size / word_bytes> words_;
};

} // namespace

void Outcomes::finish() {
    compact();
    sorted_ = {};
}

void Outcomes::compact() {
    sort_by_unit();
    drop_overwritten();
    compact_at_ = std::max(compact_at_least, 2 * all_.size());
}

// A radix sort: it keeps the order of those of one unit.
void Outcomes::sort_by_unit() {
    constexpr unsigned digit_bits = 11;
    const auto digit = [](const Outcome &outcome, unsigned shift) {
        return (outcome.unit.value >> shift) & ((1U << digit_bits) - 1);
    };
    std::uint64_t highest = 0;
    for (const auto &outcome : all_)
        highest = std::max(highest, outcome.unit.value);
    sorted_.resize(all_.size());
    for (unsigned shift = 0; shift < 64 && highest >> shift != 0; shift += digit_bits) {
        std::array<std::size_t, (1U << digit_bits) + 1> starts{};
        for (const auto &outcome : all_)
            ++starts[digit(outcome, shift) + 1];
        std::partial_sum(starts.begin(), starts.end(), starts.begin());
        for (const auto &outcome : all_)
            sorted_[starts[digit(outcome, shift)]++] = outcome;
        all_.swap(sorted_);
    }
}

// REQUIRES: sort_by_unit().
void Outcomes::drop_overwritten() {
    auto kept = all_.end();
    Covered covered;
    for (auto at = all_.end(); at != all_.begin();) {
        --at;
        if (kept != all_.end() && at->unit != kept->unit)
            covered = {};
        if (covered.add(*at))
            *--kept = *at;
    }
    all_.erase(all_.begin(), kept);
}

} // namespace daxpin::journal
