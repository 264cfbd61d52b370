// SPDX-License-Identifier: BSD-3-Clause
#include "journal/outcomes.h"

#include "support/catch.h"
#include <map>
#include <random>

using namespace daxpin;
using journal::Outcome;
using journal::Outcomes;
using journal::Sequence;

namespace {

Outcome outcome_at(std::uint64_t unit, Sequence position, unsigned offset, unsigned length) {
    return {MediaBlock::at(0, unit), position, static_cast<std::uint16_t>(offset),
            static_cast<std::uint16_t>(length)};
}

// Which byte of the ring each byte of each unit is from.
using Origins = std::map<MediaBlock, std::map<unsigned, Sequence>>;

void apply(const Outcome &outcome, Origins &origins) {
    for (unsigned i = 0; i < outcome.length; ++i)
        origins[outcome.unit][outcome.offset + i] = outcome.stands_at + i;
}

Origins origins_of(const Outcomes &outcomes) {
    Origins origins;
    MediaBlock last;
    REQUIRE(outcomes.for_each_unit([&](std::span<const Outcome> of_unit) -> Result<void> {
        REQUIRE_FALSE(of_unit.empty());
        REQUIRE(last < of_unit.front().unit); // each unit once, in order
        last = of_unit.front().unit;
        for (const auto &outcome : of_unit) {
            REQUIRE(outcome.unit == last);
            apply(outcome, origins);
        }
        return {};
    }));
    return origins;
}

} // namespace

TEST_CASE("outcomes: finished, they give the same bytes as all in order", "[journal]") {
    std::mt19937 random(1122);
    const auto below = [&](unsigned bound) { return static_cast<unsigned>(random() % bound); };
    for (unsigned round = 0; round < 200; ++round) {
        Outcomes outcomes;
        Origins expected;
        // Blocks that differ in each digit of the sort; bytes that fill no words, too.
        const std::uint64_t stride = std::uint64_t{1} << below(40);
        for (Sequence position = 64; position < 64 + 300 * 4096; position += 4096) {
            const unsigned grain = below(2) == 0 ? 8 : 1;
            const unsigned offset = below(4096 / grain) * grain;
            const unsigned length = std::min((1 + below(64)) * grain, 4096 - offset);
            const auto outcome = outcome_at(1 + below(5) * stride, position, offset, length);
            outcomes.add(outcome);
            apply(outcome, expected);
            if (below(50) == 0)
                outcomes.finish();
        }
        outcomes.finish();
        REQUIRE(origins_of(outcomes) == expected);
    }
}

TEST_CASE("outcomes: what is overwritten takes no room", "[journal]") {
    Outcomes outcomes;
    constexpr std::uint64_t units = 1000, times = 1000;
    std::size_t most = 0;
    for (std::uint64_t i = 0; i < units * times; ++i) {
        outcomes.add(outcome_at(1 + i % units, i * 64, 0, 8));
        outcomes.add(outcome_at(1 + i % units, i * 64 + 24, static_cast<unsigned>(i % 2) * 8, 16));
        most = std::max(most, outcomes.size());
    }
    CHECK(most < units * times / 4);
    outcomes.finish();
    CHECK(outcomes.size() <= 3 * units);
}

TEST_CASE("outcomes: a word that is filled in part only keeps what it had", "[journal]") {
    Outcomes outcomes;
    outcomes.add(outcome_at(7, 64, 16, 8));
    outcomes.add(outcome_at(7, 128, 16, 7));
    outcomes.finish();
    CHECK(outcomes.size() == 2);
    outcomes.add(outcome_at(7, 192, 16, 8));
    outcomes.finish();
    CHECK(outcomes.size() == 1);
}
