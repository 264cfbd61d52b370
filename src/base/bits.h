// SPDX-License-Identifier: BSD-3-Clause
//
// Ranges of bits, a word at a time. Bit n is bit n % 64 of word n / 64.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace daxpin {

inline constexpr unsigned word_bits = 64;

// Calls fn(index of a word, mask) for each word that [begin, end) touches, in order; `mask` has
// those of its bits that lie in the range.
template <typename Fn>
constexpr void for_each_word(std::uint64_t begin, std::uint64_t end, Fn &&fn) {
    while (begin < end) {
        const auto shift = begin % word_bits;
        const auto count = std::min(word_bits - shift, end - begin);
        fn(static_cast<std::size_t>(begin / word_bits), (~std::uint64_t{0} >> (word_bits - count))
                                                            << shift);
        begin += count;
    }
}

} // namespace daxpin
