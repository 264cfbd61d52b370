// SPDX-License-Identifier: BSD-3-Clause
#include "inode/unfinished.h"

#include "support/catch.h"
#include "support/engine_fixture.h"

using namespace daxpin;
using namespace daxpin::inode;
using btree::Key;
using format::ItemType;
using format::UnfinishedKind;
using test::EngineFixture;

namespace {

Result<void> put(EngineFixture &engine, const Unfinished &work) {
    UnfinishedTable table(engine.tree());
    return engine.transact([&](auto &tx) { return table.put(tx, work); });
}

} // namespace

TEST_CASE("unfinished: work is found again after a reopen", "[inode]") {
    EngineFixture engine;
    REQUIRE(put(engine, {{20}, 5, UnfinishedKind::truncate, {1000}}));
    REQUIRE(put(engine, {{30}, 6, UnfinishedKind::remove, {}}));
    engine.reopen();
    UnfinishedTable table(engine.tree());
    const auto truncation = table.find(nullptr, {20}).value();
    REQUIRE(truncation);
    REQUIRE(truncation->inode == InodeNumber{20});
    REQUIRE(truncation->generation == 5);
    REQUIRE(truncation->kind == UnfinishedKind::truncate);
    REQUIRE(truncation->from == FileBlock{1000});
    REQUIRE(table.find(nullptr, {30}).value()->kind == UnfinishedKind::remove);
    REQUIRE(!table.find(nullptr, {25}).value());
}

TEST_CASE("unfinished: an inode has one entry, the last one put", "[inode]") {
    EngineFixture engine;
    UnfinishedTable table(engine.tree());
    REQUIRE(put(engine, {{20}, 5, UnfinishedKind::truncate, {1000}}));
    REQUIRE(put(engine, {{20}, 5, UnfinishedKind::remove, {}}));
    REQUIRE(table.list({0}, 10).value().size() == 1);
    REQUIRE(table.find(nullptr, {20}).value()->kind == UnfinishedKind::remove);
    REQUIRE(engine.transact([&](auto &tx) { return table.erase(tx, {20}); }));
    REQUIRE(table.list({0}, 10).value().empty());
    REQUIRE(engine.transact([&](auto &tx) { return table.erase(tx, {20}); }).code() ==
            Errc::not_found);
}

TEST_CASE("unfinished: a listing goes on where the last one ended", "[inode]") {
    EngineFixture engine;
    UnfinishedTable table(engine.tree());
    for (std::uint64_t number = 100; number < 120; ++number)
        REQUIRE(put(engine, {{number}, 1, UnfinishedKind::remove, {}}));
    InodeNumber from{0};
    std::uint64_t expected = 100;
    for (;;) {
        const auto works = table.list(from, 7).value();
        if (works.empty())
            break;
        REQUIRE(works.size() <= 7);
        for (const Unfinished &work : works)
            REQUIRE(work.inode.value == expected++);
        from = {works.back().inode.value + 1};
    }
    REQUIRE(expected == 120);
    REQUIRE(table.list({0}, 0).value().empty());
    REQUIRE(table.list({UINT64_MAX}, 10).value().empty());
}

TEST_CASE("unfinished: an impossible entry is corrupt", "[inode]") {
    EngineFixture engine;
    UnfinishedTable table(engine.tree());
    format::UnfinishedItem item{};
    item.kind = 1;
    std::uint64_t number = 20;
    std::size_t length = sizeof item;
    SECTION("an unknown kind") {
        item.kind = 3;
    }
    SECTION("no kind") {
        item.kind = 0;
    }
    SECTION("a reserved inode") {
        number = format::root_inode;
    }
    SECTION("half an item") {
        length = 8;
    }
    REQUIRE(engine.transact([&](auto &tx) {
        return engine.tree().insert(
            tx, Key::of({format::unfinished_table}, ItemType::unfinished, number),
            btree::bytes_of(item).first(length));
    }));
    REQUIRE(table.find(nullptr, {number}).code() == Errc::corrupt);
    REQUIRE(table.list({0}, 10).code() == Errc::corrupt);
}
