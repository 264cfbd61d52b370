// SPDX-License-Identifier: BSD-3-Clause
//
// The one source of chance of the stress programs: the same seed gives the same numbers on every
// machine, which the distributions of the standard library do not promise.
#pragma once

#include <cstdint>
#include <span>

namespace stress {

// splitmix64.
class Random {
  public:
    // Mixed, or the numbers of one seed would be those of the next, one step later.
    explicit Random(std::uint64_t seed) : state_(mix(seed ^ 0x1d8e4e27c47d124f)) {}

    std::uint64_t next() { return mix(state_ += 0x9e3779b97f4a7c15); }

    // From [0, limit); 0 if the limit is.
    std::uint64_t below(std::uint64_t limit) { return limit == 0 ? 0 : next() % limit; }

    bool one_in(std::uint64_t count) { return below(count) == 0; }

    // A length up to `limit`, small ones as likely as large ones; at least 1.
    std::uint64_t length(std::uint64_t limit) {
        std::uint64_t bound = limit;
        for (std::uint64_t halvings = below(10); halvings > 0 && bound > 16; --halvings)
            bound /= 2;
        return 1 + below(bound);
    }

    template <typename T> const T &pick(std::span<const T> choices) {
        return choices[below(choices.size())];
    }

  private:
    static constexpr std::uint64_t mix(std::uint64_t z) {
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }

    std::uint64_t state_;
};

} // namespace stress
