// SPDX-License-Identifier: BSD-3-Clause
#include "immutable/pin_table.h"
#include "support/catch.h"
#include "support/engine_fixture.h"

#include <set>

using namespace daxpin;
using namespace daxpin::test;
using immutable::BlockRange;
using immutable::PinTable;
using Ranges = std::vector<BlockRange>;

namespace {

constexpr InodeNumber file{20};

BlockRange range(std::uint64_t first, std::uint64_t count) {
    return {{first}, {count}};
}

class Pins {
  public:
    Pins() : table_(fixture_.tree(), file) {}

    void add(BlockRange blocks) {
        REQUIRE(fixture_.transact([&](auto &tx) { return table_.add(tx, blocks); }));
    }
    void remove(BlockRange blocks) {
        REQUIRE(fixture_.transact([&](auto &tx) { return table_.remove(tx, blocks); }));
    }
    Ranges list() { return *table_.list(nullptr); }
    PinTable &table() { return table_; }
    EngineFixture &fixture() { return fixture_; }

  private:
    EngineFixture fixture_;
    PinTable table_;
};

// The same blocks as ranges that neither touch nor overlap.
Ranges ranges_of(const std::set<std::uint64_t> &blocks) {
    Ranges ranges;
    for (const std::uint64_t block : blocks) {
        if (!ranges.empty() && ranges.back().end().value == block)
            ranges.back().count += {1};
        else
            ranges.push_back(range(block, 1));
    }
    return ranges;
}

} // namespace

TEST_CASE("pins: ranges that touch or overlap become one", "[immutable]") {
    Pins pins;
    pins.add(range(10, 5));
    pins.add(range(20, 5));
    CHECK(pins.list() == Ranges{range(10, 5), range(20, 5)});
    pins.add(range(15, 5));
    CHECK(pins.list() == Ranges{range(10, 15)});
    pins.add(range(8, 40));
    CHECK(pins.list() == Ranges{range(8, 40)});
    pins.add(range(9, 1)); // covered already
    CHECK(pins.list() == Ranges{range(8, 40)});
}

TEST_CASE("pins: removal cuts a hole and leaves both sides", "[immutable]") {
    Pins pins;
    pins.add(range(0, 100));
    pins.remove(range(40, 20));
    CHECK(pins.list() == Ranges{range(0, 40), range(60, 40)});
    pins.remove(range(30, 40));
    CHECK(pins.list() == Ranges{range(0, 30), range(70, 30)});
    pins.remove(range(0, 1000));
    CHECK(pins.list().empty());
}

TEST_CASE("pins: overlap and coverage are told apart", "[immutable]") {
    Pins pins;
    pins.add(range(10, 10));
    CHECK(*pins.table().overlaps(nullptr, range(19, 5)));
    CHECK_FALSE(*pins.table().overlaps(nullptr, range(20, 5)));
    CHECK_FALSE(*pins.table().overlaps(nullptr, range(5, 5)));
    CHECK(*pins.table().covers(nullptr, range(10, 10)));
    CHECK_FALSE(*pins.table().covers(nullptr, range(9, 2)));
}

TEST_CASE("pins: another inode's pins are not seen", "[immutable]") {
    Pins pins;
    PinTable other(pins.fixture().tree(), {21});
    pins.add(range(0, 10));
    CHECK(other.list(nullptr)->empty());
    CHECK_FALSE(*other.overlaps(nullptr, range(0, 10)));
}

TEST_CASE("pins: random changes give what a set of blocks holds", "[immutable]") {
    Pins pins;
    std::set<std::uint64_t> model;
    std::uint64_t state = 7;
    for (int step = 0; step < 400; ++step) {
        const auto blocks = range(split_mix(state) % 60, 1 + split_mix(state) % 12);
        const bool add = split_mix(state) % 2 == 0;
        for (auto block = blocks.first.value; block < blocks.end().value; ++block)
            add ? static_cast<void>(model.insert(block)) : static_cast<void>(model.erase(block));
        add ? pins.add(blocks) : pins.remove(blocks);
        REQUIRE(pins.list() == ranges_of(model));
    }
}

TEST_CASE("pins: an impossible item is damage, not a pin", "[immutable]") {
    Pins pins;
    const auto insert = [&](std::uint64_t block, std::uint64_t count) {
        const format::PinItem item{count};
        REQUIRE(pins.fixture().transact([&](auto &tx) {
            return pins.fixture().tree().insert(
                tx, btree::Key::of(file, format::ItemType::pin, block), btree::bytes_of(item));
        }));
    };
    SECTION("of no length") {
        insert(5, 0);
    }
    SECTION("beyond any file") {
        insert(5, ~std::uint64_t{0});
    }
    SECTION("overlapping the one before") {
        insert(5, 10);
        insert(8, 10);
    }
    const auto list = pins.table().list(nullptr);
    REQUIRE_FALSE(list);
    CHECK(list.code() == Errc::corrupt);
}
