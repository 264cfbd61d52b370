// SPDX-License-Identifier: BSD-3-Clause
#include "base/bits.h"
#include "support/catch.h"

#include <utility>
#include <vector>

using namespace daxpin;

namespace {

using Parts = std::vector<std::pair<std::size_t, std::uint64_t>>;

Parts parts(std::uint64_t begin, std::uint64_t end) {
    Parts parts;
    for_each_word(begin, end,
                  [&](std::size_t word, std::uint64_t mask) { parts.emplace_back(word, mask); });
    return parts;
}

constexpr std::uint64_t all = ~std::uint64_t{0};

} // namespace

TEST_CASE("bits: a range is cut at words", "[base]") {
    CHECK(parts(5, 5).empty());
    CHECK(parts(6, 5).empty());
    CHECK(parts(0, 1) == Parts{{0, 1}});
    CHECK(parts(63, 64) == Parts{{0, std::uint64_t{1} << 63}});
    CHECK(parts(0, 64) == Parts{{0, all}});
    CHECK(parts(64, 128) == Parts{{1, all}});
    CHECK(parts(60, 67) == Parts{{0, all << 60}, {1, 7}});
    CHECK(parts(130, 320) == Parts{{2, all << 2}, {3, all}, {4, all}});
    CHECK(parts(70, 72) == Parts{{1, 0xc0}});
}
