// SPDX-License-Identifier: BSD-3-Clause
#include "alloc/transaction.h"
#include "base/checksum.h"
#include "support/catch.h"
#include "support/engine_fixture.h"
#include "support/scheduler.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <future>
#include <random>
#include <set>
#include <thread>

using namespace daxpin;
using alloc::DataRequest;
using alloc::Purpose;
using format::blocks_per_group;

namespace {

MediaRun take(test::EngineFixture &engine, const DataRequest &request) {
    return engine.transact([&](auto &tx) -> Result<MediaRun> { return tx.allocate_data(request); })
        .value();
}

Result<void> give(test::EngineFixture &engine, MediaRun run) {
    return engine.transact([&](auto &tx) -> Result<void> {
        tx.free_data(run);
        return {};
    });
}

// Takes everything an ordinary transaction can get.
std::vector<MediaRun> take_all(test::EngineFixture &engine) {
    std::vector<MediaRun> runs;
    for (;;) {
        auto run = engine.transact(
            [&](auto &tx) -> Result<MediaRun> { return tx.allocate_data({.count = {1000}}); });
        if (!run) {
            CHECK(run.code() == Errc::no_space);
            return runs;
        }
        runs.push_back(*run);
    }
}

bool overlaps(MediaRun run, MediaBlock block) {
    return !(block < run.start) && block < run.start + run.count;
}

// As the volume does it, without the list itself.
Result<bool> list_bad(test::EngineFixture &engine, MediaBlock block) {
    return engine.transact([&](auto &tx) -> Result<bool> { return tx.list_bad(block); });
}

} // namespace

TEST_CASE("allocator: no block is given twice and all come back", "[alloc]") {
    const auto data_devices = GENERATE(0U, 2U);
    test::EngineFixture engine({.data_devices = data_devices});
    const auto space = engine.allocator().space();
    std::set<MediaBlock> seen;
    const auto runs = take_all(engine);
    for (const auto &run : runs)
        for (std::uint64_t i = 0; i < run.count.value; ++i) {
            CHECK(seen.insert(run.start + BlockCount{i}).second);
            if (data_devices > 0)
                CHECK(run.start.device() > 0);
        }
    CHECK(seen.size() == space.available_blocks);
    CHECK(engine.allocator().space().available_blocks == 0);
    engine.reopen();
    CHECK(engine.allocator().space().available_blocks == 0);
    for (const auto &run : runs)
        REQUIRE(give(engine, run));
    CHECK(engine.allocator().space().free_blocks == space.free_blocks);
    engine.reopen();
    CHECK(engine.allocator().space().free_blocks == space.free_blocks);
    CHECK(take_all(engine).size() <= runs.size() + 1);
}

TEST_CASE("allocator: what a transaction took that was given up is free again", "[alloc]") {
    test::EngineFixture engine;
    const auto space = engine.allocator().space();
    const auto give_up = [&](bool restarts) {
        alloc::Transaction tx(engine.allocator());
        const auto run = tx.allocate_data({.count = {600}});
        REQUIRE(run);
        REQUIRE(tx.allocate_unit());
        CHECK(engine.allocator().space().free_blocks == space.free_blocks - run->count.value - 1);
        if (restarts)
            REQUIRE(tx.restart());
    };
    give_up(false);
    CHECK(engine.allocator().space().free_blocks == space.free_blocks);
    give_up(true);
    CHECK(engine.allocator().space().free_blocks == space.free_blocks);
    CHECK(engine.allocator().space().available_blocks == space.available_blocks);
}

TEST_CASE("allocator: a run that lies in two bitmaps is freed in both", "[alloc]") {
    test::EngineFixture engine({.device_bytes = std::uint64_t{160} << 20});
    const auto space = engine.allocator().space();
    const BlockCount half{8};
    const MediaRun before{MediaBlock::at(0, format::blocks_per_group - 8), half};
    const MediaRun after{before.start + half, half};
    for (const auto &run : {before, after})
        REQUIRE(take(engine, {.count = half, .goal = run.start}).start == run.start);
    REQUIRE(give(engine, {before.start, half + half})); // as one extent of a file
    engine.reopen();
    CHECK(engine.allocator().space().free_blocks == space.free_blocks);
    for (const auto &run : {before, after})
        CHECK(take(engine, {.count = half, .goal = run.start}).start == run.start);
}

TEST_CASE("allocator: a bitmap of a wrong checksum is not used, though its count is right",
          "[alloc]") {
    test::EngineFixture engine;
    const auto chunk =
        engine.media().bytes().subspan(engine.superblock().devices[0].bitmap_start * block_size);
    const auto bits = chunk.subspan(format::bitmap_header_bytes);
    REQUIRE(bits[0] == std::byte{0xff}); // superblock, labels
    const auto free = std::ranges::find(bits, std::byte{0});
    std::swap(bits[0], *free);
    engine.reopen();
    const auto taken = engine.transact(
        [&](auto &tx) -> Result<MediaRun> { return tx.allocate_data({.count = {1}}); });
    CHECK(taken.code() == Errc::no_space); // the only one there is
}

TEST_CASE("allocator: a damaged bitmap is passed over, once it was told", "[alloc]") {
    test::EngineFixture engine({.device_bytes = std::uint64_t{160} << 20});
    const BlockCount count{8};
    const auto last_of_first = MediaBlock::at(0, blocks_per_group - 8);
    const auto grown = take(engine, {.count = count, .goal = last_of_first});
    REQUIRE(grown.start == last_of_first);
    const auto start = (engine.superblock().devices[0].bitmap_start + 1) * block_size;
    auto chunk = engine.media().bytes().subspan(start, block_size);
    const auto reckon = [&] {
        const le32 crc = crc32c(chunk.subspan(sizeof crc));
        std::memcpy(chunk.data(), &crc, sizeof crc);
    };
    format::BitmapHeader header;
    std::memcpy(&header, chunk.data(), sizeof header);
    REQUIRE(header.free_count > 0);
    const auto try_next = [&] { // the block behind it is in the second group
        return engine.transact([&](auto &tx) -> Result<MediaRun> {
            return tx.allocate_data({.count = count, .goal = grown.start + count});
        });
    };
    SECTION("that mount has seen") {
        header.magic = 0;
        std::memcpy(chunk.data(), &header, sizeof header);
        reckon();
        engine.reopen();
    }
    SECTION("that is met later: its bits and its count differ") {
        header.free_count = header.free_count - 1;
        std::memcpy(chunk.data(), &header, sizeof header);
        reckon();
        engine.reopen();
        const auto before = engine.allocator().space().free_blocks;
        CHECK(try_next().code() == Errc::corrupt);
        CHECK(engine.allocator().space().free_blocks == before - header.free_count);
    }
    const auto taken = try_next();
    INFO((taken ? "" : describe(taken.error())));
    REQUIRE(taken.has_value());
    CHECK(taken->start.block() < blocks_per_group);
}

TEST_CASE("allocator: a bitmap that frees blocks beyond the device's end is not used", "[alloc]") {
    test::EngineFixture engine;
    const auto &entry = engine.superblock().devices[0];
    auto chunk = engine.media().bytes().subspan(entry.bitmap_start * block_size, block_size);
    const auto bits = chunk.subspan(format::bitmap_header_bytes);
    const std::uint64_t beyond = entry.block_count;
    bits[beyond / 8] &= ~(std::byte{1} << (beyond % 8));
    format::BitmapHeader header;
    std::memcpy(&header, chunk.data(), sizeof header);
    header.free_count = header.free_count + 1;
    std::memcpy(chunk.data(), &header, sizeof header);
    const le32 crc = crc32c(chunk.subspan(sizeof crc));
    std::memcpy(chunk.data(), &crc, sizeof crc);
    engine.reopen();
    const auto taken = engine.transact(
        [&](auto &tx) -> Result<MediaRun> { return tx.allocate_data({.count = {1}}); });
    CHECK(taken.code() == Errc::corrupt);
}

TEST_CASE("allocator: the reserve is for deleting alone", "[alloc]") {
    test::EngineFixture engine;
    take_all(engine);
    const auto ordinary =
        engine.transact([](auto &tx) -> Result<MediaBlock> { return tx.allocate_unit(); });
    REQUIRE_FALSE(ordinary.has_value());
    CHECK(ordinary.code() == Errc::no_space);
    CHECK(alloc::transact(engine.allocator(), Purpose::release,
                          [](auto &tx) -> Result<MediaBlock> { return tx.allocate_unit(); }));
}

TEST_CASE("allocator: freed metadata is to be had although another's record is not home yet",
          "[alloc]") {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        test::EngineFixture engine;
        std::array<MediaBlock, 4> units;
        for (auto &unit : units)
            unit = engine.transact([](auto &tx) { return tx.allocate_unit(); }).value();
        take_all(engine);
        const auto free_before = engine.allocator().space().free_blocks;
        Result<void> inserted = Errc::io;
        Result<void> freed = Errc::io;
        Result<MediaBlock> taken = Errc::io;
        test::Scheduler(seed).run({
            [&] {
                inserted = engine.transact([&](auto &tx) {
                    return engine.tree().insert(tx, {1, 1}, std::array{std::byte{1}});
                });
            },
            [&] {
                freed = engine.transact([&](auto &tx) -> Result<void> {
                    std::ranges::for_each(units, [&](MediaBlock unit) { tx.free_unit(unit); });
                    return {};
                });
            },
            [&] {
                while (engine.allocator().space().free_blocks == free_before)
                    spin_wait(0);
                taken = engine.transact([](auto &tx) { return tx.allocate_unit(); });
            },
        });
        INFO("seed " << seed);
        REQUIRE(inserted);
        REQUIRE(freed);
        REQUIRE(taken);
    }
}

TEST_CASE("allocator: aligned requests get aligned whole units", "[alloc]") {
    test::EngineFixture engine({.device_bytes = std::uint64_t{32} << 20});
    const auto unit = std::uint64_t{2} << 20;
    for (int i = 0; i < 3; ++i) {
        take(engine, {.count = {3}}); // small ones must not break up free units
        const auto run = take(engine, {.count = {700}, .align_bytes = unit});
        CHECK(run.start.block() % 512 == 0);
        CHECK(run.count.value % 512 == 0);
    }
}

TEST_CASE("allocator: small requests fill holes before they break a free unit", "[alloc]") {
    test::EngineFixture engine({.device_bytes = std::uint64_t{32} << 20});
    std::set<std::uint64_t> units;
    for (int i = 0; i < 200; ++i)
        units.insert(take(engine, {.count = {1}}).start.block() / 512);
    CHECK(units.size() == 1);
}

TEST_CASE("allocator: a goal is honoured when it is free", "[alloc]") {
    test::EngineFixture engine;
    const auto first = take(engine, {.count = {4}});
    const auto second = take(engine, {.count = {4}, .goal = first.start + first.count});
    CHECK(second.start == first.start + first.count);
}

TEST_CASE("allocator: two that grow at a time do not take each other's next block", "[alloc]") {
    test::EngineFixture engine({.device_bytes = std::uint64_t{16} << 20});
    MediaBlock ends[2] = {take(engine, {.count = {1}}).start, take(engine, {.count = {1}}).start};
    unsigned runs = 0;
    for (unsigned i = 0; i < 2 * 600; ++i) {
        auto &end = ends[i % 2];
        const MediaBlock goal = end + BlockCount{1};
        end = take(engine, {.count = {1}, .goal = goal, .grows = true}).start;
        runs += end != goal;
    }
    CHECK(runs <= 4); // one mapping unit holds 512 blocks
}

TEST_CASE("allocator: files that grow at a time do so under different bitmap chunks", "[alloc]") {
    test::EngineFixture engine({.device_bytes = std::uint64_t{512} << 20});
    const auto group_of = [](MediaBlock block) { return block.block() / blocks_per_group; };
    std::array<MediaBlock, 3> ends;
    for (auto &end : ends)
        end = take(engine, {.count = {1}}).start;
    CHECK(group_of(ends[0]) == group_of(ends[2]));
    unsigned runs = 0;
    for (unsigned i = 0; i < 3 * 1200; ++i) {
        auto &end = ends[i % 3];
        const MediaBlock goal = end + BlockCount{1};
        end = take(engine, {.count = {1}, .goal = goal, .grows = true}).start;
        runs += end != goal;
    }
    CHECK(std::set{group_of(ends[0]), group_of(ends[1]), group_of(ends[2])}.size() == 3);
    CHECK(runs <= 6);
    // Small ones stay where they were.
    CHECK(group_of(take(engine, {.count = {1}}).start) == 0);
}

TEST_CASE("allocator: who grows gets every block that there is", "[alloc]") {
    test::EngineFixture engine({.device_bytes = std::uint64_t{512} << 20});
    const auto free = engine.allocator().space().available_blocks;
    std::uint64_t blocks = 0;
    MediaBlock goal{};
    while (blocks < free) {
        const auto run = take(engine, {.count = {100}, .goal = goal, .grows = true});
        REQUIRE(run.count.value > 0);
        blocks += run.count.value;
        goal = run.start + run.count;
    }
    CHECK(blocks == free);
}

TEST_CASE("allocator: where no unit is free who grows fills holes", "[alloc]") {
    test::EngineFixture engine({.device_bytes = std::uint64_t{4} << 20});
    const auto runs = take_all(engine);
    REQUIRE(give(engine, {runs.front().start, {1}}));
    REQUIRE(give(engine, {runs.front().start + BlockCount{2}, {1}}));
    const auto first = take(engine, {.count = {1}, .goal = runs.front().start, .grows = true});
    CHECK(first.start == runs.front().start);
    const auto goal = first.start + BlockCount{1};
    CHECK(take(engine, {.count = {1}, .goal = goal, .grows = true}).start != goal);
}

TEST_CASE("allocator: a freed block waits for readers from before", "[alloc]") {
    test::EngineFixture engine;
    const auto run = take(engine, {.count = {1}});
    take_all(engine);
    auto guard = engine.allocator().grace().enter();
    REQUIRE(give(engine, run));
    alloc::Transaction tx(engine.allocator());
    CHECK(tx.allocate_data({.count = {1}}).code() == Errc::retry);
    guard.leave();
    REQUIRE(tx.restart());
    CHECK(tx.allocate_data({.count = {1}}).value() == run);
}

TEST_CASE("allocator: what a transaction gives back itself is nothing to try again for",
          "[alloc]") {
    test::EngineFixture engine;
    const auto some = take(engine, {.count = {2}});
    const auto run = take(engine, {.count = {1}});
    take_all(engine);
    REQUIRE(give(engine, some));
    REQUIRE(engine.allocator().reserve({2})); // they are back
    auto guard = engine.allocator().grace().enter();
    REQUIRE(give(engine, run));
    // The transaction takes the two, and needs the one that the guard keeps.
    std::atomic<bool> fell_short = false;
    auto reader = std::async(std::launch::async, [&] {
        fell_short.wait(false);
        guard.leave();
    });
    unsigned attempts = 0;
    const auto all = engine.transact([&](auto &tx) -> Result<void> {
        ++attempts;
        for (std::uint64_t got = 0; got < 3;) {
            auto part = tx.allocate_data({.count = {3 - got}});
            if (!part) {
                fell_short = true;
                fell_short.notify_all();
                return part.error();
            }
            got += part->count.value;
        }
        return {};
    });
    CHECK(all);
    CHECK(attempts == 2);
    CHECK(fell_short);
    fell_short = true; // or the reader would wait for ever
    fell_short.notify_all();
}

TEST_CASE("allocator: a freed metadata block waits for the tail", "[alloc]") {
    test::EngineFixture engine;
    const auto unit = engine
                          .transact([&](auto &tx) -> Result<MediaBlock> {
                              DAXPIN_TRY_ASSIGN(const auto block, tx.allocate_unit());
                              REQUIRE(tx.units().create(block));
                              return block;
                          })
                          .value();
    REQUIRE(engine.transact([&](auto &tx) -> Result<void> {
        tx.free_unit(unit);
        return {};
    }));
    CHECK(take(engine, {.count = {1}}).start != unit);
    REQUIRE(engine.allocator().journal().checkpoint());
    CHECK(take(engine, {.count = {1}}).start == unit);
}

TEST_CASE("allocator: a double free is refused before it is stored", "[alloc]") {
    test::EngineFixture engine;
    const auto run = take(engine, {.count = {2}});
    REQUIRE(give(engine, run));
    const auto again = give(engine, run);
    REQUIRE_FALSE(again.has_value());
    CHECK(again.code() == Errc::corrupt);
}

TEST_CASE("allocator: of a run that is free in part the first such block is named", "[alloc]") {
    test::EngineFixture engine;
    const auto run = take(engine, {.count = {200}});
    const MediaBlock gone = run.start + BlockCount{130};
    REQUIRE(give(engine, {gone, {70}}));
    const auto again = give(engine, run);
    REQUIRE_FALSE(again.has_value());
    CHECK(again.error().text.find("block " + std::to_string(gone.block()) + " of device") !=
          std::string::npos);
    REQUIRE(give(engine, {run.start, {130}}));
}

TEST_CASE("allocator: a reservation keeps others out", "[alloc]") {
    test::EngineFixture engine;
    const auto available = engine.allocator().space().available_blocks;
    auto reservation = engine.allocator().reserve({available - 1});
    REQUIRE(reservation.has_value());
    CHECK(engine.allocator().space().available_blocks == 1);
    CHECK_FALSE(engine.allocator().reserve({2}).has_value());
    std::uint64_t got = 0;
    while (got < available - 1) {
        const auto run = alloc::transact(
            engine.allocator(), Purpose::ordinary,
            [&](auto &tx) -> Result<MediaRun> {
                return tx.allocate_data({.count = {available - 1 - got}});
            },
            &*reservation);
        REQUIRE(run.has_value());
        got += run->count.value;
    }
    CHECK(engine.allocator().space().available_blocks == 1);
}

TEST_CASE("allocator: what is taken from a reservation is not set aside as well", "[alloc]") {
    test::EngineFixture engine;
    const auto available = engine.allocator().space().available_blocks;
    auto reservation = engine.allocator().reserve({available - 20});
    REQUIRE(reservation.has_value());
    const auto take_reserved = [&](alloc::Transaction &tx) {
        for (std::uint64_t got = 0; got < available - 20;) {
            const auto run = tx.allocate_data({.count = {available - 20 - got}});
            REQUIRE(run.has_value());
            got += run->count.value;
        }
    };
    {
        alloc::Transaction tx(engine.allocator(), Purpose::ordinary, &*reservation);
        take_reserved(tx);
        CHECK(tx.allocate_unit().has_value());
        CHECK(engine.allocator().reserve({10}).has_value());
    } // dropped: it is all set aside again
    CHECK_FALSE(engine.allocator().reserve({21}).has_value());
    CHECK(engine.allocator().reserve({20}).has_value());
    alloc::Transaction tx(engine.allocator(), Purpose::ordinary, &*reservation);
    take_reserved(tx);
    REQUIRE(tx.commit());
    CHECK(engine.allocator().space().available_blocks == 20);
}

TEST_CASE("allocator: who waits for space gets what a reservation leaves", "[alloc]") {
    test::EngineFixture engine;
    const auto run = take(engine, {.count = {1}});
    const auto guard = engine.allocator().grace().enter();
    REQUIRE(give(engine, run)); // comes back when the guard goes, which is not soon
    alloc::Transaction tx(engine.allocator());
    {
        const auto available = engine.allocator().space().available_blocks - 1;
        const auto reservation = engine.allocator().reserve({available});
        REQUIRE(reservation.has_value());
        REQUIRE(tx.allocate_data({.count = {1}}).code() == Errc::retry);
    }
    REQUIRE(tx.restart());
    CHECK(tx.allocate_data({.count = {1}}).has_value());
}

TEST_CASE("grace: passes only when guards from before are gone", "[alloc]") {
    alloc::Grace grace;
    const auto idle = grace.ticket();
    CHECK(grace.passed(idle));
    auto early = grace.enter();
    const auto ticket = grace.ticket();
    CHECK_FALSE(grace.passed(ticket));
    auto late = grace.enter();
    early.leave();
    late.leave();
    CHECK(grace.passed(ticket));
    auto after = grace.enter();
    CHECK(grace.passed(ticket));
}

TEST_CASE("allocator: a block that turns bad while it waits is not given out", "[alloc]") {
    test::EngineFixture engine;
    auto reader = engine.allocator().grace().enter();
    const auto run = take(engine, {.count = {5}});
    const MediaBlock bad = run.start + BlockCount{2};
    REQUIRE(give(engine, run));
    REQUIRE(engine.devices().bad_blocks().note({.block = bad}));
    take(engine, {.count = {1}}); // looks for free blocks that turned bad: this is not free yet
    reader.leave();
    const auto rest = take_all(engine);
    CHECK(std::ranges::none_of(rest, [&](MediaRun one) { return overlaps(one, bad); }));
    CHECK(list_bad(engine, bad) == true); // nobody owns it
}

TEST_CASE("allocator: a block that is listed as bad meanwhile is not freed", "[alloc]") {
    test::EngineFixture engine;
    const auto run = take(engine, {.count = {3}});
    alloc::Transaction tx(engine.allocator());
    tx.free_data(run);
    REQUIRE(engine.devices().bad_blocks().note({.block = run.start}));
    REQUIRE(list_bad(engine, run.start) == false); // it is still somebody's
    CHECK(tx.commit().code() == Errc::retry);
}

TEST_CASE("allocator: a block that was healed meanwhile is not listed as bad", "[alloc]") {
    test::EngineFixture engine;
    const auto run = take(engine, {.count = {3}});
    auto &bad = engine.devices().bad_blocks();
    REQUIRE(bad.note({.block = run.start}));
    alloc::Transaction tx(engine.allocator());
    REQUIRE_FALSE(tx.list_bad(run.start));
    bad.erase(run.start);
    CHECK(tx.commit().code() == Errc::busy);
}

TEST_CASE("allocator: the one free unit of many groups is found, and found gone", "[alloc]") {
    test::EngineFixture engine({.device_bytes = std::uint64_t{512} << 20});
    const auto runs = take_all(engine);
    const auto take_piece = [&] {
        return engine.transact([&](auto &tx) -> Result<MediaRun> {
            return tx.allocate_data({.count = {512}, .align_bytes = 512 * block_size});
        });
    };
    for (const auto &run : runs) {
        const auto first = (run.start.block() + 511) / 512 * 512;
        if (first + 512 > run.start.block() + run.count.value)
            continue;
        CHECK(take_piece().code() == Errc::no_space);
        const MediaRun unit{MediaBlock::at(0, first), {512}};
        REQUIRE(give(engine, {unit.start + BlockCount{1}, {511}}));
        CHECK(take_piece().code() == Errc::no_space);
        REQUIRE(give(engine, {unit.start, {1}}));
        if (first / blocks_per_group % 2 == 0)
            engine.reopen();
        const auto piece = take_piece();
        REQUIRE(piece.has_value());
        CHECK(piece->start == unit.start);
    }
}

TEST_CASE("allocator: what can never be had is not waited for", "[alloc]") {
    test::EngineFixture engine;
    const auto unit =
        engine.transact([](auto &tx) -> Result<MediaBlock> { return tx.allocate_unit(); });
    REQUIRE(unit.has_value());
    REQUIRE(engine.transact([&](auto &tx) -> Result<void> {
        tx.free_unit(*unit);
        return {};
    }));
    auto &journal = engine.allocator().journal();
    const auto tail = journal.durable_tail();
    CHECK(engine.allocator().reserve({std::uint64_t{1} << 51}).code() == Errc::no_space);
    CHECK(journal.durable_tail() == tail); // no checkpoint
}
