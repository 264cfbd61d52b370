// SPDX-License-Identifier: BSD-3-Clause
#include "immutable/leases.h"
#include "support/catch.h"

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
    CHECK_FALSE(leases.write_overlaps(range(0, 100)));
}

TEST_CASE("lease: only write leases seal, only others' are in the way", "[immutable]") {
    Leases leases;
    leases.grant(1, range(0, 4), true);
    leases.grant(2, range(10, 4), false);
    CHECK(leases.write_overlaps(range(3, 1)));
    CHECK_FALSE(leases.write_overlaps(range(4, 10)));
    CHECK(leases.overlaps(range(13, 5)));
    CHECK(leases.write_overlaps_other(range(0, 4), 2));
    CHECK_FALSE(leases.write_overlaps_other(range(0, 4), 1));
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

TEST_CASE("lease: the keeper lives until the last lease of its time ends", "[immutable]") {
    Leases leases;
    CHECK(leases.keeper().expired());
    leases.grant(1, range(0, 4), false);
    const auto keeper = leases.keeper();
    leases.grant(2, range(0, 4), false);
    leases.release_all(1);
    CHECK_FALSE(keeper.expired());
    leases.release_all(2);
    CHECK(keeper.expired());
    leases.grant(3, range(0, 4), false);
    CHECK(keeper.expired()); // a later lease does not revive it
}
