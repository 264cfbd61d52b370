// SPDX-License-Identifier: BSD-3-Clause
#include "alloc/group.h"
#include "support/catch.h"

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

using namespace daxpin;
using format::blocks_per_group;

namespace {

// The first run of `wanted` free blocks within a partly used unit, else the longest: block by
// block.
std::optional<alloc::GroupRun> hole_by_hand(const alloc::Group &group, std::uint32_t wanted) {
    std::optional<alloc::GroupRun> longest;
    for (std::uint32_t unit = 0; unit < alloc::units_per_group; ++unit) {
        if (group.free_in_unit(unit) == alloc::unit_blocks)
            continue;
        const auto end = (unit + 1) * alloc::unit_blocks;
        for (auto at = unit * alloc::unit_blocks; at < end;) {
            const auto length = group.free_length(at, std::min(wanted, end - at));
            if (length > 0 && (!longest || length > longest->count))
                longest = {at, length};
            at += std::max(length, 1U);
        }
    }
    return longest;
}

// What a group is to know, a block at a time.
class Plain {
  public:
    void set(alloc::GroupRun run, bool busy) {
        std::fill_n(busy_.begin() + run.start, run.count, busy);
    }
    std::uint32_t length(std::uint32_t from, bool busy, std::uint32_t end) const {
        const auto last = busy_.begin() + end;
        return static_cast<std::uint32_t>(std::find(busy_.begin() + from, last, !busy) -
                                          (busy_.begin() + from));
    }
    std::uint32_t free_in(std::uint32_t first, std::uint32_t count) const {
        return static_cast<std::uint32_t>(
            std::count(busy_.begin() + first, busy_.begin() + first + count, false));
    }

  private:
    std::vector<bool> busy_ = std::vector<bool>(blocks_per_group);
};

} // namespace

TEST_CASE("group: runs of any place and length are taken and given as block by block", "[alloc]") {
    alloc::Group group(std::vector<std::byte>(blocks_per_group / 8));
    Plain plain;
    std::mt19937 random(11);
    const auto below = [&](std::uint32_t end) {
        return static_cast<std::uint32_t>(random() % end);
    };
    unsigned taken = 0, given = 0;
    for (unsigned round = 0; round < 4000; ++round) {
        const auto start = below(blocks_per_group);
        const auto length = 1 + below(std::min(blocks_per_group - start, 1500U));
        CHECK(group.next_free(start) == start + plain.length(start, true, blocks_per_group));
        CHECK(group.free_length(start, length) == plain.length(start, false, start + length));
        const alloc::GroupRun free{start, plain.length(start, false, start + length)};
        const alloc::GroupRun busy{start, plain.length(start, true, start + length)};
        CHECK(group.is_free({start, length}) == (free.count == length));
        if (free.count > 0) {
            group.take(free);
            plain.set(free, true);
            ++taken;
        } else {
            group.give(busy);
            plain.set(busy, false);
            ++given;
        }
        CHECK(group.free_count() == plain.free_in(0, blocks_per_group));
        const auto unit = start / alloc::unit_blocks;
        CHECK(group.free_in_unit(unit) ==
              plain.free_in(unit * alloc::unit_blocks, alloc::unit_blocks));
    }
    CHECK(taken > 1000);
    CHECK(given > 1000);
}

TEST_CASE("group: what searches remember does not change what they find", "[alloc]") {
    std::vector<std::byte> bitmap(format::blocks_per_group / 8);
    alloc::Group group(bitmap);
    std::mt19937 random(7);
    const auto below = [&](std::uint32_t end) {
        return static_cast<std::uint32_t>(random() % end);
    };
    std::vector<alloc::GroupRun> taken;
    for (unsigned round = 0; round < 3000; ++round) {
        const alloc::GroupRun run{below(format::blocks_per_group - 40), 1 + below(40)};
        if (group.is_free(run)) {
            group.take(run);
            taken.push_back(run);
        } else if (!taken.empty()) {
            std::swap(taken[below(static_cast<std::uint32_t>(taken.size()))], taken.back());
            group.give(taken.back());
            taken.pop_back();
        }
        const auto wanted = 1 + below(round % 3 == 0 ? 512 : 20);
        const auto found = group.find_hole(wanted), expected = hole_by_hand(group, wanted);
        REQUIRE(found.has_value() == expected.has_value());
        if (!found)
            continue;
        REQUIRE(found->start == expected->start);
        REQUIRE(found->count == expected->count);
    }
}
