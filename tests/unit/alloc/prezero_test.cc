// SPDX-License-Identifier: BSD-3-Clause
//
// Zeroing free space ahead of need: what is known to be zero is, and is free.
#include "alloc/transaction.h"
#include "support/catch.h"
#include "support/engine_fixture.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <thread>

using namespace daxpin;
using alloc::DataRequest;

namespace {

constexpr std::uint64_t unit_bytes = std::uint64_t{2} << 20;
constexpr std::uint64_t unit = unit_bytes / block_size;
constexpr std::byte garbage{0xa5};

std::span<std::byte> bytes_of(test::EngineFixture &engine, MediaRun run) {
    return engine.media(run.start.device())
        .bytes()
        .subspan(run.start.block() * block_size, run.count.bytes());
}

bool is_zero(test::EngineFixture &engine, MediaRun run) {
    return std::ranges::all_of(bytes_of(engine, run),
                               [](auto byte) { return byte == std::byte{}; });
}

Result<MediaRun> take(test::EngineFixture &engine, const DataRequest &request) {
    return engine.transact([&](auto &tx) -> Result<MediaRun> { return tx.allocate_data(request); });
}

Result<MediaRun> take_zeroed(test::EngineFixture &engine, const DataRequest &request) {
    return engine.transact(
        [&](auto &tx) -> Result<MediaRun> { return tx.allocate_zeroed(request); });
}

void give(test::EngineFixture &engine, MediaRun run) {
    REQUIRE(engine.transact([&](auto &tx) -> Result<void> {
        tx.free_data(run);
        return {};
    }));
}

// Fills free space with garbage, as an aged volume has it.
void age(test::EngineFixture &engine) {
    std::vector<MediaRun> runs;
    while (const auto run = take(engine, {.count = {1000}}))
        runs.push_back(*run);
    for (const auto &run : runs) {
        std::ranges::fill(bytes_of(engine, run), garbage);
        give(engine, run);
    }
}

std::size_t zero_all(test::EngineFixture &engine) {
    std::size_t steps = 0;
    for (;; ++steps) {
        const auto more = engine.allocator().prezero_step();
        REQUIRE(more);
        if (!*more)
            return steps;
        REQUIRE(steps < 1000);
    }
}

// Zeroes until at least so many blocks are known to be zero.
void zero_some(test::EngineFixture &engine, std::uint64_t blocks) {
    while (engine.allocator().prezeroed().value < blocks)
        REQUIRE(engine.allocator().prezero_step());
}

// Stops at the first large store until it is let go.
class Brake : public test::EventSink {
  public:
    void about_to_store(const test::SimMedia &, std::uint64_t, std::span<const std::byte> in,
                        device::StoreKind) override {
        if (in.size() < block_size || std::exchange(reached_, true))
            return;
        at_store_.set_value();
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
    }
    void flushed(const test::SimMedia &, std::uint64_t, std::uint64_t) override {}
    void drained(const test::SimMedia &) override {}
    void wait() { at_store_.get_future().wait(); }

  private:
    bool reached_ = false;
    std::promise<void> at_store_;
};

} // namespace

TEST_CASE("prezero: all that is free becomes zero, and nothing else is touched", "[alloc]") {
    test::EngineFixture engine({.data_devices = GENERATE(0U, 2U)});
    age(engine);
    const MediaRun mine = take(engine, {.count = {100}}).value();
    std::ranges::fill(bytes_of(engine, mine), garbage);
    zero_all(engine);
    const auto known = engine.allocator().prezeroed().value;
    CHECK(known <= engine.allocator().space().free_blocks);
    CHECK(known + 64 > engine.allocator().space().free_blocks);
    CHECK(std::ranges::all_of(bytes_of(engine, mine), [](auto byte) { return byte == garbage; }));
    while (const auto run = take_zeroed(engine, {.count = {1}})) {
        if (run->count.value == 0)
            break;
        REQUIRE(is_zero(engine, *run));
    }
    CHECK(zero_all(engine) == 0); // nothing has come back since
}

TEST_CASE("prezero: after a restart nothing is known", "[alloc]") {
    test::EngineFixture engine;
    zero_all(engine);
    engine.reopen();
    CHECK(engine.allocator().prezeroed().value == 0);
    CHECK(take_zeroed(engine, {.count = {1}}).value().count.value == 0);
}

TEST_CASE("prezero: zeros are given where they are known, aligned as asked", "[alloc]") {
    test::EngineFixture engine({.device_bytes = 16 * unit_bytes});
    age(engine);
    const auto align = GENERATE(0U, 2 * block_size, unsigned{unit_bytes});
    const auto count = GENERATE(2U, 512U, 1024U);
    CHECK(take_zeroed(engine, {.count = {count}, .align_bytes = align}).value().count.value == 0);
    zero_some(engine, 4 * unit);
    const auto run = take_zeroed(engine, {.count = {count}, .align_bytes = align}).value();
    REQUIRE(run.count.value > 0);
    CHECK(is_zero(engine, run));
    if (align > 0) {
        CHECK(run.start.block() * block_size % align == 0);
        CHECK(run.count.bytes() % align == 0);
    }
    const MediaBlock end = run.start + run.count;
    const auto next = take_zeroed(engine, {.count = {count}, .align_bytes = align, .goal = end});
    CHECK(next.value().start == end);
}

TEST_CASE("prezero: others leave zeros alone while there is a choice", "[alloc]") {
    test::EngineFixture engine({.device_bytes = 16 * unit_bytes});
    zero_some(engine, 4 * unit);
    const auto known = engine.allocator().prezeroed();
    for (unsigned i = 0; i < 4; ++i)
        REQUIRE(take(engine, {.count = {unit}}));
    CHECK(engine.allocator().prezeroed() == known);
    while (take(engine, {.count = {unit}}))
        continue;
    CHECK(engine.allocator().prezeroed().value < unit); // they are no reserve
}

TEST_CASE("prezero: what was in use is not known to be zero", "[alloc]") {
    test::EngineFixture engine;
    zero_all(engine);
    const auto known = engine.allocator().prezeroed();
    const auto run = take_zeroed(engine, {.count = {600}}).value();
    REQUIRE(run.count.value == 600);
    CHECK(engine.allocator().prezeroed() == known - run.count);
    std::ranges::fill(bytes_of(engine, run), garbage);
    SECTION("freed") {
        give(engine, run);
    }
    SECTION("taken by a transaction that was given up") {
        give(engine, run);
        zero_all(engine);
        alloc::Transaction tx(engine.allocator());
        const auto taken = tx.allocate_zeroed({.count = {600}}).value();
        REQUIRE(taken.count.value > 0);
        std::ranges::fill(bytes_of(engine, taken), garbage);
    }
    CHECK(engine.allocator().prezeroed().value <= (known - run.count).value);
    for (;;) {
        const auto zeros = take_zeroed(engine, {.count = {1}}).value();
        if (zeros.count.value == 0)
            break;
        REQUIRE(is_zero(engine, zeros));
    }
}

TEST_CASE("prezero: freed blocks are zeroed again", "[alloc]") {
    test::EngineFixture engine;
    zero_all(engine);
    const auto known = engine.allocator().prezeroed();
    const auto run = take(engine, {.count = {600}}).value();
    std::ranges::fill(bytes_of(engine, run), garbage);
    give(engine, run);
    REQUIRE(zero_all(engine) > 0);
    CHECK(engine.allocator().prezeroed() == known);
    CHECK(is_zero(engine, run));
}

TEST_CASE("prezero: blocks that somebody may still read are left", "[alloc]") {
    test::EngineFixture engine;
    zero_all(engine);
    const auto run = take(engine, {.count = {600}}).value();
    std::ranges::fill(bytes_of(engine, run), garbage);
    {
        const auto guard = engine.allocator().grace().enter();
        give(engine, run);
        zero_all(engine);
        CHECK(
            std::ranges::all_of(bytes_of(engine, run), [](auto byte) { return byte == garbage; }));
    }
    zero_all(engine);
    CHECK(is_zero(engine, run));
}

TEST_CASE("prezero: a bad block is found, and given to nobody", "[alloc]") {
    test::EngineFixture engine;
    zero_some(engine, 1);
    const auto known = engine.allocator().prezeroed();
    const MediaRun probe = take(engine, {.count = {unit}}).value(); // not zeroed yet
    give(engine, probe);
    const MediaBlock bad = probe.start + BlockCount{5};
    engine.media().poison(bad.block() * block_size, block_size);
    zero_all(engine);
    CHECK(engine.allocator().prezeroed() > known);
    CHECK(engine.allocator().bad_blocks().find(bad));
    const auto has_bad = [&](MediaRun run) {
        return !(bad < run.start) && bad < run.start + run.count;
    };
    for (auto zeros = take_zeroed(engine, {.count = {1}}); zeros->count.value > 0;
         zeros = take_zeroed(engine, {.count = {1}}))
        REQUIRE_FALSE(has_bad(*zeros));
    while (const auto run = take(engine, {.count = {1}}))
        REQUIRE_FALSE(has_bad(*run));
}

TEST_CASE("prezero: a block that turns bad later leaves the set", "[alloc]") {
    test::EngineFixture engine;
    zero_all(engine);
    const auto known = engine.allocator().prezeroed();
    const auto run = take_zeroed(engine, {.count = {unit}}).value();
    give(engine, run);
    zero_all(engine);
    REQUIRE(engine.allocator().prezeroed() == known);
    engine.allocator().bad_blocks().note({run.start + BlockCount{5}});
    REQUIRE(take_zeroed(engine, {.count = {1}}));
    CHECK(engine.allocator().prezeroed() < known - BlockCount{1});
}

TEST_CASE("prezero: what could not be made durable is not known to be zero", "[alloc]") {
    test::EngineFixture engine;
    engine.media().fail_drains_from(1);
    CHECK(engine.allocator().prezero_step().code() == Errc::io);
    CHECK(engine.allocator().journal().failed());
    CHECK(engine.allocator().prezeroed().value == 0);
    CHECK(engine.allocator().prezero_step().value() == false);
}

TEST_CASE("prezero: nobody lacks space for a piece that is being zeroed", "[alloc]") {
    test::EngineFixture engine;
    const auto available = engine.allocator().space().available_blocks;
    Brake brake;
    engine.media().set_sink(&brake);
    auto zeroing = std::async(std::launch::async,
                              [&] { return engine.allocator().prezero_step().has_value(); });
    brake.wait();
    SECTION("a reservation") {
        CHECK(engine.allocator().reserve(BlockCount{available}));
    }
    SECTION("a transaction") {
        std::uint64_t got = 0;
        const auto all = engine.transact([&](auto &tx) -> Result<void> {
            for (got = 0; got < available;) {
                DAXPIN_TRY_ASSIGN(const auto run, tx.allocate_data({.count = {available - got}}));
                got += run.count.value;
            }
            return {};
        });
        CHECK(all);
        CHECK(got == available);
    }
    CHECK(zeroing.get());
    engine.media().set_sink(nullptr);
}
