// SPDX-License-Identifier: BSD-3-Clause
#include "inode/inode_table.h"

#include "support/catch.h"
#include "support/engine_fixture.h"

#include <array>
#include <map>
#include <sys/stat.h>

using namespace daxpin;
using namespace daxpin::inode;
using btree::Key;
using format::ItemType;
using test::EngineFixture;

namespace {

constexpr InodeNumber directory{format::root_inode};

std::unique_ptr<InodeTable> open_table_of(EngineFixture &engine) {
    return InodeTable::open(engine.tree(), engine.env()).value();
}

Attributes example(std::uint64_t number = 20) {
    Attributes attributes;
    attributes.number = {number};
    attributes.generation = 0xfedcba9876543210U;
    attributes.mode = S_IFREG | 04755;
    attributes.uid = 1000;
    attributes.gid = 0xfffffffeU;
    attributes.link_count = 3;
    attributes.size = 123456789;
    attributes.block_count = 77;
    attributes.atime_ns = -1;
    attributes.mtime_ns = INT64_MIN;
    attributes.ctime_ns = INT64_MAX;
    attributes.btime_ns = 1'700'000'000'123'456'789;
    attributes.rdev = 0x12345;
    attributes.flags = format::inode_flag_dax | format::inode_flag_pinned_whole;
    attributes.align_hint = 2 << 20;
    attributes.lease_boot.fill(std::byte{7});
    return attributes;
}

Result<void> store(EngineFixture &engine, const Attributes &attributes) {
    const auto table = open_table_of(engine);
    return engine.transact([&](auto &tx) { return table->store(tx, attributes); });
}

bool same(const Attributes &a, const Attributes &b) {
    return a.number == b.number && a.generation == b.generation && a.mode == b.mode &&
           a.uid == b.uid && a.gid == b.gid && a.link_count == b.link_count && a.size == b.size &&
           a.block_count == b.block_count && a.atime_ns == b.atime_ns && a.mtime_ns == b.mtime_ns &&
           a.ctime_ns == b.ctime_ns && a.btime_ns == b.btime_ns && a.rdev == b.rdev &&
           a.flags == b.flags && a.parent == b.parent && a.align_hint == b.align_hint &&
           a.lease_boot == b.lease_boot;
}

} // namespace

TEST_CASE("inode table: every attribute comes back, also after a reopen", "[inode]") {
    EngineFixture engine;
    Attributes attributes = example();
    SECTION("a file") {}
    SECTION("a directory") {
        attributes.mode = S_IFDIR | 0755;
        attributes.size = 1;
        attributes.parent = {17};
    }
    REQUIRE(store(engine, attributes));
    REQUIRE(same(open_table_of(engine)->load(nullptr, {20}).value(), attributes));
    engine.reopen();
    REQUIRE(same(open_table_of(engine)->load(nullptr, {20}).value(), attributes));
}

TEST_CASE("inode table: a transaction sees its own store, others see it after commit", "[inode]") {
    EngineFixture engine;
    const auto table = open_table_of(engine);
    REQUIRE(engine.transact([&](auto &tx) -> Result<void> {
        DAXPIN_TRY(table->store(tx, example()));
        REQUIRE(table->load(&tx, {20}));
        return {};
    }));
    REQUIRE(table->load(nullptr, {20}));
    REQUIRE(engine.transact([&](auto &tx) { return table->erase(tx, {20}); }));
    REQUIRE(table->load(nullptr, {20}).code() == Errc::stale);
}

TEST_CASE("inode table: counts that went below zero are damage", "[inode]") {
    EngineFixture engine;
    auto attributes = example();
    attributes.mode = S_IFDIR | 0755;
    attributes.parent = directory;
    attributes.link_count = 2;
    attributes.size = 0;
    REQUIRE(store(engine, attributes));
    --attributes.size;
    REQUIRE(store(engine, attributes).code() == Errc::corrupt);
    attributes.size = 0;
    attributes.link_count = 1;
    --attributes.link_count;
    --attributes.link_count;
    REQUIRE(store(engine, attributes).code() == Errc::corrupt);
}

TEST_CASE("inode table: a number that nobody has is stale", "[inode]") {
    EngineFixture engine;
    const auto table = open_table_of(engine);
    REQUIRE(store(engine, example(20)));
    for (const std::uint64_t number :
         {std::uint64_t{0}, std::uint64_t{2}, std::uint64_t{19}, std::uint64_t{21}, UINT64_MAX})
        REQUIRE(table->load(nullptr, {number}).code() == Errc::stale);
}

TEST_CASE("inode table: new numbers are above all that were found at open", "[inode]") {
    EngineFixture engine;
    {
        const auto table = open_table_of(engine);
        const auto first = table->new_identity(directory).value();
        const auto second = table->new_identity(directory).value();
        REQUIRE(first.number == InodeNumber{format::first_free_inode});
        REQUIRE(second.number == InodeNumber{format::first_free_inode + 1});
        REQUIRE(first.generation != second.generation);
    }
    REQUIRE(store(engine, example(1000)));
    engine.reopen();
    REQUIRE(open_table_of(engine)->new_identity(directory)->number == InodeNumber{1001});

    // Items of an inode without attributes count too: nobody may inherit them.
    REQUIRE(engine.transact([&](auto &tx) {
        const format::PinItem item{};
        return engine.tree().insert(tx, Key::of({2000}, ItemType::pin), btree::bytes_of(item));
    }));
    engine.reopen();
    REQUIRE(open_table_of(engine)->new_identity(directory)->number == InodeNumber{2001});
}

TEST_CASE("inode table: directories take numbers from runs of their own", "[inode]") {
    EngineFixture engine;
    const auto table = open_table_of(engine);
    std::map<std::uint64_t, std::size_t> owners; // of runs
    std::array<std::uint64_t, 2> last{};
    std::uint64_t jumps = 0;
    for (std::uint64_t round = 0; round < 3 * btree::inodes_of_a_run; ++round)
        for (const std::size_t turn : {0U, 1U}) {
            const auto number = table->new_identity({turn + 100})->number.value;
            REQUIRE(number > last[turn]);
            REQUIRE(owners.emplace(number / btree::inodes_of_a_run, turn).first->second == turn);
            jumps += number == last[turn] + 1 ? 0 : 1;
            last[turn] = number;
        }
    REQUIRE(jumps == owners.size());
}

TEST_CASE("inode table: a key beyond all inode numbers is corrupt", "[inode]") {
    EngineFixture engine;
    const le64 value = 0;
    REQUIRE(engine.transact([&](auto &tx) {
        return engine.tree().insert(tx, Key{format::inode_max + 1, 0}, btree::bytes_of(value));
    }));
    const auto table = open_table_of(engine);
    REQUIRE(table->damage() != nullptr);
    REQUIRE(table->new_identity(directory).code() == Errc::corrupt);
}

TEST_CASE("inode table: impossible attributes are corrupt", "[inode]") {
    EngineFixture engine;
    REQUIRE(store(engine, example()));
    btree::Item item;
    const Key key = Key::of({20}, ItemType::inode);
    REQUIRE(engine.tree().find(nullptr, key, item).value());
    auto raw = item.as<format::InodeItem>().value();
    std::size_t length = sizeof raw;

    SECTION("no type") {
        raw.mode = 0644;
    }
    SECTION("an unknown type") {
        raw.mode = 0170000 | 0644;
    }
    SECTION("bits above the type") {
        raw.mode = 0x10000 | S_IFREG;
    }
    SECTION("an unknown flag") {
        raw.flags = 64;
    }
    SECTION("a negative size") {
        raw.size = std::uint64_t{1} << 63;
    }
    SECTION("an alignment that is no power of two") {
        raw.align_hint = 12288;
    }
    SECTION("a directory without a parent") {
        raw.mode = S_IFDIR | 0755;
        raw.parent = 0;
    }
    SECTION("a directory with more links than entries") {
        raw.mode = S_IFDIR | 0755;
        raw.parent = 17;
        raw.size = 1;
        raw.link_count = 4;
    }
    SECTION("half an item") {
        length = 80;
    }
    REQUIRE(engine.transact([&](auto &tx) {
        return engine.tree().replace(tx, key, btree::bytes_of(raw).first(length));
    }));
    REQUIRE(open_table_of(engine)->load(nullptr, {20}).code() == Errc::corrupt);
}
