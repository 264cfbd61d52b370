// SPDX-License-Identifier: BSD-3-Clause
#include "journal/outcomes.h"

#include "support/catch.h"
#include <algorithm>
#include <map>
#include <random>

using namespace daxpin;
using journal::Outcomes;
using journal::Sequence;
using journal::Stretch;

namespace {

MediaBlock unit(std::uint64_t block) {
    return MediaBlock::at(0, block);
}

} // namespace

TEST_CASE("outcomes: sorted, those of a unit are together and the oldest is first", "[journal]") {
    std::mt19937 random(1122);
    for (unsigned round = 0; round < 200; ++round) {
        Outcomes outcomes;
        std::map<MediaBlock, std::vector<Sequence>> expected;
        // Blocks that differ in each digit of the sort.
        const std::uint64_t stride = std::uint64_t{1} << random() % 45;
        for (Sequence position = 64; position < 300 * 64; position += 64) {
            const auto at = unit(1 + random() % 5 * stride);
            outcomes.add(at, position, 24);
            expected[at].push_back(position);
        }
        outcomes.sort_by_unit();
        auto next = outcomes.all().begin();
        for (const auto &[at, positions] : expected)
            for (const auto position : positions) {
                REQUIRE(next != outcomes.all().end());
                REQUIRE(next->unit() == at);
                REQUIRE(next->stands_at == position);
                REQUIRE(next->bytes == 24);
                ++next;
            }
        REQUIRE(next == outcomes.all().end());
    }
}

TEST_CASE("outcomes: entries of a unit that follow each other are one stretch", "[journal]") {
    Outcomes outcomes;
    outcomes.add(unit(7), 64, 24);
    outcomes.add(unit(7), 88, 32);
    outcomes.add(unit(8), 120, 24);
    outcomes.add(unit(8), 256, 24); // of the next record
    outcomes.sort_by_unit();
    REQUIRE(outcomes.all().size() == 3);
    CHECK(outcomes.all()[0].stands_at == 64);
    CHECK(outcomes.all()[0].bytes == 56);
    CHECK(outcomes.all()[1].bytes == 24);
    CHECK(outcomes.all()[2].stands_at == 256);
}

TEST_CASE("outcomes: a stretch never grows too long to be read at once", "[journal]") {
    Outcomes outcomes;
    const std::size_t bytes = 16 + block_size; // the longest entry
    for (Sequence i = 0; i < 5; ++i)
        outcomes.add(unit(7), 64 + i * bytes, bytes);
    outcomes.add(unit(7), 64 + 5 * bytes, 24);
    Sequence next = 64;
    for (const Stretch &stretch : outcomes.all()) {
        CHECK(stretch.stands_at == next);
        CHECK(stretch.bytes <= Stretch::bytes_max);
        next += stretch.bytes;
    }
    CHECK(next == 64 + 5 * bytes + 24);
}
