// SPDX-License-Identifier: BSD-3-Clause
#include "immutable/lease_accounts.h"
#include "immutable/leases.h"
#include "support/catch.h"

#include <ctime>

using namespace daxpin;
using immutable::BlockRange;
using immutable::Leases;

namespace {

BlockRange range(std::uint64_t first, std::uint64_t count) {
    return {{first}, {count}};
}

} // namespace

TEST_CASE("lease: it ends by its id, and only for its holder", "[immutable]") {
    Leases leases;
    const auto id = leases.grant(1, range(0, 4), true).id;
    CHECK_FALSE(leases.release(2, id));
    CHECK_FALSE(leases.release(1, id + 1));
    CHECK(leases.count() == 1);
    CHECK(leases.release(1, id));
    CHECK_FALSE(leases.release(1, id));
    CHECK(leases.empty());
}

TEST_CASE("lease: ids are not used again", "[immutable]") {
    Leases leases;
    const auto first = leases.grant(1, range(0, 1), false).id;
    CHECK(leases.release(1, first));
    CHECK(leases.grant(1, range(0, 1), false).id != first);
}

TEST_CASE("lease: release of the handle ends all of it", "[immutable]") {
    Leases leases;
    leases.grant(1, range(0, 4), true);
    leases.grant(1, range(8, 4), false);
    leases.grant(2, range(8, 4), false);
    CHECK(leases.holds_write(1));
    CHECK_FALSE(leases.holds_write(2));
    CHECK(leases.release_all(1));
    CHECK_FALSE(leases.release_all(1));
    CHECK(leases.count() == 1);
    CHECK_FALSE(leases.seals_overlap(range(0, 100)));
}

TEST_CASE("lease: only write leases seal, only others' are in the way", "[immutable]") {
    Leases leases;
    leases.grant(1, range(0, 4), true);
    leases.grant(2, range(10, 4), false);
    CHECK(leases.seals_overlap(range(3, 1)));
    CHECK_FALSE(leases.seals_overlap(range(4, 10)));
    CHECK(leases.overlaps(range(13, 5)));
    CHECK(leases.seals_overlap_other(range(0, 4), 2));
    CHECK_FALSE(leases.seals_overlap_other(range(0, 4), 1));
}

TEST_CASE("lease: several leases of one handle cover a range together", "[immutable]") {
    Leases leases;
    leases.grant(1, range(4, 4), false);
    leases.grant(1, range(0, 5), false);
    leases.grant(2, range(8, 4), false);
    CHECK(leases.covers(1, range(0, 8)));
    CHECK_FALSE(leases.covers(1, range(0, 9)));
    CHECK_FALSE(leases.covers(2, range(7, 2)));
}

TEST_CASE("lease: what was freed under it is kept until the last one of its time ends",
          "[immutable]") {
    Leases leases;
    const MediaRun run{MediaBlock::at(0, 100), {4}};
    leases.grant(1, range(0, 4), false);
    leases.grant(2, range(2, 4), false);
    leases.grant(3, range(8, 4), false);
    leases.keep(run, range(0, 4));
    leases.release_all(1);
    CHECK(leases.take_returned().empty());
    CHECK(leases.keeps(run.start));
    leases.grant(1, range(0, 4), false); // sees other blocks there
    leases.release_all(2);
    CHECK(leases.take_returned() == std::vector{immutable::Returned{run, {0}}});
    CHECK_FALSE(leases.keeps(run.start));
    CHECK(leases.take_returned().empty());
}

TEST_CASE("lease: a run is found among very many that are kept", "[immutable]") {
    constexpr std::uint64_t count = 200'000;
    Leases leases;
    leases.grant(1, range(0, count), false);
    for (std::uint64_t i = 0; i < count; ++i)
        leases.keep({{2 * i}, {1}}, range(i, 1));
    const std::clock_t begin = std::clock();
    bool right = true;
    for (std::uint64_t i = 0; i < 2 * count; ++i)
        right = right && leases.keeps({i * 7919 % (2 * count)}) == (i * 7919 % 2 == 0);
    CHECK(right);
    // Looking at each takes ten times as long.
    CHECK((std::clock() - begin) / CLOCKS_PER_SEC < 5);
}

TEST_CASE("lease: of a range that part is leased which holds all leases over it", "[immutable]") {
    Leases leases;
    CHECK_FALSE(leases.leased_part(range(0, 100)));
    leases.grant(1, range(4, 4), false);
    leases.grant(2, range(20, 10), false);
    CHECK(leases.leased_part(range(0, 100)) == range(4, 26));
    CHECK(leases.leased_part(range(6, 10)) == range(6, 2));
    CHECK(leases.leased_part(range(25, 100)) == range(25, 5));
    CHECK_FALSE(leases.leased_part(range(8, 12)));
}

TEST_CASE("lease: whoever is at a limit gets no new one, root always does", "[immutable]") {
    immutable::LeaseAccounts accounts({.leases = 2, .quarantined_blocks = 10});
    REQUIRE(accounts.open(5));
    REQUIRE(accounts.open(5));
    CHECK(accounts.check(5).code() == Errc::quota);
    CHECK(accounts.open(5).code() == Errc::quota);
    CHECK(accounts.open(6));
    accounts.close(5);
    CHECK(accounts.check(5));
    accounts.charge(5, 10);
    CHECK(accounts.open(5).code() == Errc::quota);
    accounts.discharge(5, 1);
    CHECK(accounts.open(5));
    for (int i = 0; i < 4; ++i)
        CHECK(accounts.open(0));
}

TEST_CASE("lease: what was freed is charged to each user whose lease keeps it", "[immutable]") {
    Leases leases;
    leases.grant(1, range(0, 4), false, {.uid = 7});
    leases.grant(2, range(2, 4), false, {.uid = 5});
    leases.grant(3, range(2, 4), false, {.uid = 7});
    leases.grant(4, range(8, 4), false, {.uid = 9});
    const MediaRun run{MediaBlock::at(0, 100), {4}};
    CHECK(leases.keep(run, range(0, 4)) == std::vector<std::uint32_t>{5, 7});
    for (const std::uint64_t handle : {1, 2, 3})
        leases.release_all(handle);
    CHECK(leases.take_returned() == std::vector{immutable::Returned{run, {5, 7}}});
}
