// SPDX-License-Identifier: BSD-3-Clause
#include "alloc/zeroed_set.h"

#include "support/catch.h"
#include "support/test_env.h"

#include <algorithm>
#include <vector>

using namespace daxpin;
using alloc::ZeroedSet;

namespace {

constexpr std::uint64_t space = 200;

MediaRun run_at(std::uint64_t start, std::uint64_t count) {
    return {MediaBlock{start}, BlockCount{count}};
}

// The runs that a row of blocks makes.
std::vector<MediaRun> runs_of(const std::vector<bool> &blocks) {
    std::vector<MediaRun> runs;
    for (std::uint64_t i = 0; i < blocks.size(); ++i) {
        if (!blocks[i])
            continue;
        if (i > 0 && blocks[i - 1])
            ++runs.back().count.value;
        else
            runs.push_back(run_at(i, 1));
    }
    return runs;
}

std::vector<MediaRun> runs_of(const ZeroedSet &set) {
    std::vector<MediaRun> runs;
    for (auto run = set.at_or_after({}); run; run = set.at_or_after(run->start + run->count))
        runs.push_back(*run);
    return runs;
}

void check_equal(const ZeroedSet &set, const std::vector<bool> &blocks) {
    const auto expected = runs_of(blocks);
    REQUIRE(runs_of(set) == expected);
    REQUIRE(set.run_count() == expected.size());
    REQUIRE(set.empty() == expected.empty());
    REQUIRE(set.blocks().value ==
            static_cast<std::uint64_t>(std::count(blocks.begin(), blocks.end(), true)));
    for (std::uint64_t wanted = 1; wanted < space; wanted += 7) {
        std::uint64_t shortest = 0, longest = 0;
        for (const auto &run : expected) {
            const auto length = run.count.value;
            if (length >= wanted && (shortest == 0 || length < shortest))
                shortest = length;
            longest = std::max(longest, length >= wanted ? length : 0);
        }
        const auto length_of = [](const std::optional<MediaRun> &run) {
            return run ? run->count.value : 0;
        };
        REQUIRE(length_of(set.shortest({wanted})) == shortest);
        REQUIRE(length_of(set.longest({wanted})) == longest);
    }
}

} // namespace

TEST_CASE("zeroed set: is the set of its blocks", "[alloc]") {
    std::uint64_t random = 7;
    ZeroedSet set;
    std::vector<bool> blocks(space);
    for (unsigned round = 0; round < 2000; ++round) {
        const auto start = test::split_mix(random) % space;
        const auto count = 1 + test::split_mix(random) % std::min<std::uint64_t>(20, space - start);
        const auto first = blocks.begin() + static_cast<std::ptrdiff_t>(start);
        const auto last = first + static_cast<std::ptrdiff_t>(count);
        const bool add = test::split_mix(random) % 2 == 0;
        if (add && std::find(first, last, true) != last)
            continue;
        if (add)
            set.add(run_at(start, count));
        else
            set.remove(run_at(start, count));
        std::fill(first, last, add);
        check_equal(set, blocks);
    }
}

TEST_CASE("zeroed set: a run is found by any of its blocks", "[alloc]") {
    ZeroedSet set;
    set.add(run_at(10, 5));
    set.add({MediaBlock::at(1, 0), BlockCount{3}});
    CHECK(set.at_or_after({0}) == run_at(10, 5));
    CHECK(set.at_or_after({10}) == run_at(10, 5));
    CHECK(set.at_or_after({14}) == run_at(10, 5));
    CHECK(set.at_or_after({15}) == MediaRun{MediaBlock::at(1, 0), BlockCount{3}});
    CHECK_FALSE(set.at_or_after(MediaBlock::at(1, 3)));
}
