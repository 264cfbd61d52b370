// SPDX-License-Identifier: BSD-3-Clause
#include "ring_fixture.h"

#include "journal/ring.h"
#include "journal/tail_cell.h"

#include <atomic>
#include <chrono>
#include <thread>

using namespace daxpin;
using namespace daxpin::test;

TEST_CASE("journal: recovery restores the homes of every durable record", "[journal]") {
    RingFixture ring;
    const auto old0 = ring.home(0), old1 = ring.home(1);
    REQUIRE(ring.change(0, 7));
    REQUIRE(ring.change(1, 8, 300));
    REQUIRE(ring.change(0, 9));
    ring.lose_home(0, old0);
    ring.lose_home(1, old1);
    REQUIRE(ring.open());
    CHECK(ring.value(0) == 9);
    CHECK(ring.value(1) == 8);
    CHECK(ring.journal().report().records_replayed == 3);
    REQUIRE(ring.open());
    CHECK(ring.journal().report().records_replayed == 0);
}

TEST_CASE("journal: the ring wraps at every offset and loses nothing", "[journal]") {
    const auto start = GENERATE(Sequence{0}, Sequence{64}, Sequence{131072 - 64},
                                Sequence{131072 - 128}, Sequence{131072 * 3 - 4096});
    RingFixture ring(start);
    for (std::uint64_t i = 1; i < 700; ++i) {
        const auto which = i % unit_count;
        const auto old = ring.home(which);
        REQUIRE(ring.change(which, i, static_cast<unsigned>(1 + i * 13 % 400)));
        if (i % 50 == 0) {
            ring.lose_home(which, old);
            REQUIRE(ring.open());
        }
        CHECK(ring.value(which) == i);
    }
    CHECK(ring.journal().head() > start + 131072);
}

TEST_CASE("journal: a torn newest record is not a record", "[journal]") {
    RingFixture ring;
    const auto old = ring.home(0);
    const auto before = ring.change(1, 5).value();
    const auto newest = ring.change(0, 7).value();
    REQUIRE(newest > before);
    ring.lose_home(0, old);
    const auto at = GENERATE(Sequence{0}, Sequence{8}, Sequence{56}, Sequence{64}, Sequence{90});
    ring.ring_byte(newest + at) ^= std::byte{1};
    REQUIRE(ring.open());
    CHECK(ring.value(0) == 0);
    CHECK(ring.value(1) == 5);
}

TEST_CASE("journal: a record lost before others is damage and nothing is written", "[journal]") {
    RingFixture ring;
    const auto first = ring.change(0, 1).value();
    REQUIRE(ring.change(1, 2));
    ring.ring_byte(first + GENERATE(Sequence{20}, Sequence{70})) ^= std::byte{1};
    const auto before = ring.image();
    const auto opened = ring.open();
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.code() == Errc::corrupt);
    CHECK((ring.image() == before)); // not printed
}

TEST_CASE("journal: a newest record damaged after it went home is damage and nothing is written",
          "[journal]") {
    RingFixture ring;
    REQUIRE(ring.change(0, 1));
    // More words than before: what the older record says does not fit them any more.
    const auto newest = ring.change(0, 2, 3).value();
    ring.ring_byte(newest + GENERATE(Sequence{20}, Sequence{70})) ^= std::byte{1};
    const auto before = ring.image();
    CHECK(ring.open().code() == Errc::corrupt);
    CHECK((ring.image() == before)); // not printed
}

// Forged with the epoch that only the volume knows: what remains is checked all the same.
TEST_CASE("journal: a record that makes no sense is refused and nothing is written", "[journal]") {
    RingFixture ring;
    REQUIRE(ring.change(0, 1));
    const auto end = ring.journal().head();
    const auto epoch =
        journal::read_tail_cells(ring.devices(), RingFixture::geometry)->ruling.epoch;
    std::vector<std::byte> record(128);
    format::RecordEntry entry{};
    entry.length = 8;
    entry.block = GENERATE(MediaBlock::at(0, 0).value, MediaBlock::at(0, 2).value,
                           MediaBlock::at(0, 33).value, MediaBlock::at(0, 40).value,
                           MediaBlock::at(0, 255).value, MediaBlock::at(1, 100).value);
    std::memcpy(&record[sizeof(format::RecordHeader)], &entry, sizeof entry);
    const auto [count, previous_end] =
        GENERATE(table<unsigned, Sequence>({{1, 0}, {0, 0}, {9, 0}, {1, 64}}));
    journal::seal_payload(record, std::max(count, 1U));
    journal::seal_record(record, end, end + previous_end, epoch);
    if (count == 0) {
        format::RecordHeader header;
        std::memcpy(&header, record.data(), sizeof header);
        header.entry_count = 0;
        const auto hashed = std::as_bytes(std::span(&header, 1));
        header.checksum = keyed_hash(epoch, hashed.first(offsetof(format::RecordHeader, checksum)));
        std::memcpy(record.data(), &header, sizeof header);
    }
    std::ranges::copy(record, &ring.ring_byte(end));
    const auto before = ring.image();
    CHECK(ring.open().code() == Errc::corrupt);
    CHECK((ring.image() == before)); // not printed
}

TEST_CASE("journal: an entry that runs over its unit or its record is refused", "[journal]") {
    RingFixture ring;
    const auto end = ring.journal().head();
    const auto epoch =
        journal::read_tail_cells(ring.devices(), RingFixture::geometry)->ruling.epoch;
    std::vector<std::byte> record(128);
    format::RecordEntry entry{};
    entry.block = RingFixture::unit(0).value;
    const auto [offset, length] =
        GENERATE(table<unsigned, unsigned>({{4092, 8}, {4096, 8}, {8, 0}, {8, 49}}));
    entry.offset = static_cast<std::uint16_t>(offset);
    entry.length = static_cast<std::uint16_t>(length);
    std::memcpy(&record[sizeof(format::RecordHeader)], &entry, sizeof entry);
    journal::seal_payload(record, 1);
    journal::seal_record(record, end, end, epoch);
    std::ranges::copy(record, &ring.ring_byte(end));
    const auto before = ring.image();
    const auto opened = ring.open();
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().text.find("impossible entry") != std::string::npos);
    CHECK((ring.image() == before)); // not printed
}

TEST_CASE("journal: a record lost just before the wrap is damage too", "[journal]") {
    RingFixture ring(131072 - 192);
    const auto last_of_lap = ring.change(0, 1).value();
    const auto first_of_lap = ring.change(1, 2, 20).value();
    REQUIRE(first_of_lap == 131072);
    ring.ring_byte(last_of_lap + 70) ^= std::byte{1};
    CHECK(ring.open().code() == Errc::corrupt);
}

TEST_CASE("journal: a record beyond the stop is found at every seat", "[journal]") {
    RingFixture fixture;
    const HashKey epoch{};
    const journal::Ring ring(fixture.devices(), RingFixture::geometry, epoch);
    const auto ring_bytes = RingFixture::geometry.ring_bytes();
    const Sequence stop = ring_bytes * 3 + GENERATE(Sequence{0}, Sequence{64}, Sequence{4032});
    for (Sequence position = stop; position < stop + ring_bytes; position += format::record_align) {
        std::array<std::byte, format::record_align> record{};
        journal::seal_payload(record, 1);
        journal::seal_record(record, position, position - 64, epoch);
        const auto seat = std::span(&fixture.ring_byte(position), record.size());
        std::vector<std::byte> old(seat.begin(), seat.end());
        std::ranges::copy(record, seat.begin());
        REQUIRE(ring.any_header_beyond(stop, stop + ring_bytes).value());
        REQUIRE_FALSE(ring.any_header_beyond(stop, position).value());
        REQUIRE_FALSE(ring.any_header_beyond(position + 64, stop + ring_bytes).value());
        std::ranges::copy(old, seat.begin());
    }
}

TEST_CASE("journal: a torn record after the wrap is not damage", "[journal]") {
    RingFixture ring(131072 - 192);
    REQUIRE(ring.change(0, 1));
    const auto torn = ring.change(1, 2, 20).value();
    REQUIRE(torn == 131072);
    ring.ring_byte(torn + 80) ^= std::byte{1};
    REQUIRE(ring.open());
    CHECK(ring.journal().report().records_replayed == 1);
}

TEST_CASE("journal: records of an earlier epoch are not replayed", "[journal]") {
    RingFixture ring;
    const auto first = ring.change(0, 1).value();
    const auto *const bytes = &ring.ring_byte(first);
    std::vector<std::byte> record(bytes, bytes + (ring.journal().head() - first));
    const HashKey epoch =
        journal::read_tail_cells(ring.devices(), RingFixture::geometry)->ruling.epoch;
    REQUIRE(ring.open()); // a new epoch
    // The old record where the next one is expected, as good as any but for its epoch.
    const auto start = ring.journal().head();
    journal::seal_payload(record, 1);
    journal::seal_record(record, start, start, epoch);
    std::ranges::copy(record, &ring.ring_byte(start));
    REQUIRE(ring.open());
    CHECK(ring.journal().report().records_replayed == 0);
}

TEST_CASE("journal: opened for recovery alone, an orderly ring is left as it is", "[journal]") {
    RingFixture ring;
    REQUIRE(ring.change(0, 1));
    REQUIRE(ring.journal().checkpoint());
    const auto orderly = ring.image();
    REQUIRE(ring.open(journal::Writing::recovery));
    CHECK((ring.image() == orderly));

    // Before changes there is a new epoch, and one only.
    REQUIRE(ring.journal().begin_epoch());
    const auto begun = ring.image();
    CHECK((begun != orderly));
    REQUIRE(ring.journal().begin_epoch());
    CHECK((ring.image() == begun));
    REQUIRE(ring.change(0, 2));
    REQUIRE(ring.open());
    CHECK(ring.journal().report().records_replayed == 1);
}

TEST_CASE("journal: opened for recovery alone, what a crash left is mended", "[journal]") {
    RingFixture ring;
    const auto old = ring.home(0);
    REQUIRE(ring.change(0, 1));
    ring.lose_home(0, old);
    REQUIRE(ring.open(journal::Writing::recovery));
    CHECK(ring.value(0) == 1);
    CHECK(ring.journal().report().records_replayed == 1);
}

TEST_CASE("journal: the tail stays before a record whose homes are not written", "[journal]") {
    RingFixture ring;
    const auto first = ring.change(0, 1).value();
    const auto end = ring.journal().head();
    const auto *const bytes = &ring.ring_byte(first);
    std::vector<std::byte> record(bytes, bytes + (end - first));
    REQUIRE(ring.journal().reserve(record.size()));
    auto *const unfinished = ring.journal().append(record, 1).value();
    REQUIRE(ring.change(1, 2));
    REQUIRE(ring.journal().checkpoint());
    CHECK(ring.journal().durable_tail() == end);
    journal::Journal::home_written(*unfinished);
    REQUIRE(ring.journal().checkpoint());
    CHECK(ring.journal().durable_tail() == ring.journal().head());
}

TEST_CASE("journal: a checkpoint flushes the homes of the records that it passes", "[journal]") {
    RingFixture ring;
    class Flushes : public test::EventSink {
      public:
        void about_to_store(const test::SimMedia &, std::uint64_t, std::span<const std::byte>,
                            device::StoreKind) override {}
        void flushed(const test::SimMedia &, std::uint64_t offset, std::uint64_t) override {
            units.push_back(offset / block_size - RingFixture::unit(0).block());
        }
        void drained(const test::SimMedia &) override {}
        std::vector<std::uint64_t> units;
    } flushes;
    const auto checkpoint = [&] {
        flushes.units.clear();
        ring.media().set_sink(&flushes);
        REQUIRE(ring.journal().checkpoint());
        ring.media().set_sink(nullptr);
        std::ranges::sort(flushes.units);
        return flushes.units;
    };
    using Units = std::vector<std::uint64_t>;
    const auto first = ring.change(0, 1).value();
    const auto length = ring.journal().head() - first;
    REQUIRE(ring.change(3, 1));
    const auto *const bytes = &ring.ring_byte(first);
    std::vector<std::byte> of_unit_0(bytes, bytes + length);
    REQUIRE(ring.journal().reserve(of_unit_0.size()));
    auto *const unfinished = ring.journal().append(of_unit_0, 1).value();
    REQUIRE(ring.change(5, 2));
    CHECK(checkpoint() == Units{0, 3});
    CHECK(checkpoint() == Units{});
    journal::Journal::home_written(*unfinished);
    CHECK(checkpoint() == Units{0, 5});
    CHECK(checkpoint() == Units{});
}

TEST_CASE("journal: a ring that is full is checkpointed before it takes more", "[journal]") {
    RingFixture ring;
    const auto ring_bytes = RingFixture::geometry.ring_bytes();
    for (std::uint64_t i = 1; i <= 500; ++i) {
        REQUIRE(ring.change(i % 3, i, 1 + static_cast<unsigned>(i % 400)));
        REQUIRE(ring.journal().head() - ring.journal().durable_tail() <= ring_bytes);
    }
    CHECK(ring.journal().head() > 4 * ring_bytes);
    REQUIRE(ring.open());
    CHECK(ring.value(500 % 3) == 500);
}

TEST_CASE("journal: room that is given back can be reserved again", "[journal]") {
    RingFixture ring;
    const auto most = RingFixture::geometry.record_bytes_max();
    for (unsigned round = 0; round < 100; ++round) {
        for (unsigned i = 0; i < 4; ++i) // all the room there is, as the wrap may waste half
            REQUIRE(ring.journal().reserve(most));
        for (unsigned i = 0; i < 4; ++i)
            ring.journal().unreserve(most);
    }
    REQUIRE(ring.change(0, 1));
}

TEST_CASE("journal: nothing is written after a failed drain", "[journal]") {
    RingFixture ring;
    REQUIRE(ring.change(0, 1));
    ring.media().fail_drains_from(1);
    CHECK(ring.change(0, 2).code() == Errc::io);
    CHECK(ring.value(0) == 1);
    CHECK(ring.journal().failed());
    const std::vector<std::byte> before(ring.media().bytes().begin(), ring.media().bytes().end());
    CHECK(ring.change(1, 3).code() == Errc::io);
    CHECK_FALSE(ring.journal().checkpoint().has_value());
    CHECK(std::ranges::equal(before, ring.media().bytes()));
}

TEST_CASE("journal: a record holds just the words that differ", "[journal]") {
    RingFixture ring;
    const auto before = ring.journal().head();
    REQUIRE(ring.change(0, 1));
    // Header, then the checksum's word and the changed one, which are neighbours.
    CHECK(ring.journal().head() - before == 128);
    const auto idle = ring.journal().head();
    Transaction tx(ring.journal());
    REQUIRE(tx.edit(RingFixture::unit(0)));
    REQUIRE(tx.commit());
    CHECK(ring.journal().head() == idle); // nothing changed: no record
}

TEST_CASE("journal: a change does not vouch for bytes of its unit that went bad before",
          "[journal]") {
    RingFixture ring;
    REQUIRE(ring.change(0, 1));
    auto spoilt = ring.home(0);
    spoilt[2000] ^= std::byte{1};
    ring.lose_home(0, spoilt);
    const auto unit = RingFixture::unit(0);
    Transaction tx(ring.journal());
    auto *const bytes = tx.edit_marked(unit, [] { return true; }).value();
    bytes[8] = std::byte{2};
    tx.mark(unit, journal::lines_of(8, 1));
    REQUIRE(tx.commit());
    CHECK(ring.open().code() == Errc::corrupt);
}

TEST_CASE("journal: the lines of a range", "[journal]") {
    CHECK(journal::lines_of(100, 0) == 0);
    CHECK(journal::lines_of(0, 1) == 1);
    CHECK(journal::lines_of(63, 2) == 3);
    CHECK(journal::lines_of(64, 64) == 2);
    CHECK(journal::lines_of(block_size - 1, 1) == std::uint64_t{1} << 63);
    CHECK(journal::lines_of(0, block_size) == ~std::uint64_t{0});
}

TEST_CASE("journal: of a unit edited by marks the marked lines reach the media, after edit() all",
          "[journal]") {
    RingFixture ring;
    const auto unit = RingFixture::unit(0);
    const auto edit_marked = [&](Transaction &tx) {
        return tx.edit_marked(unit, [] { return true; }).value();
    };
    for (const std::size_t at : {100U, 3000U, 4095U}) { // each where the others are not looked for
        Transaction marked(ring.journal());
        edit_marked(marked)[at] = std::byte{1};
        marked.mark(unit, journal::lines_of(at, 1));
        REQUIRE(marked.commit());
    }
    Transaction whole(ring.journal());
    auto *const bytes = edit_marked(whole);
    bytes[200] = std::byte{2};
    REQUIRE(whole.edit(unit).value() == bytes);
    REQUIRE(whole.commit());
    REQUIRE(ring.open()); // replayed, and the checksums are right
    const auto home = ring.home(0);
    for (const std::size_t at : {100U, 3000U, 4095U})
        CHECK(home[at] == std::byte{1});
    CHECK(home[200] == std::byte{2});
    CHECK(journal::is_intact(home));
}

TEST_CASE("journal: a unit dropped after the change was measured is not written", "[journal]") {
    RingFixture ring;
    Transaction tx(ring.journal());
    for (const std::uint64_t i : {0, 1, 2}) {
        auto *const bytes = tx.edit(RingFixture::unit(i)).value();
        bytes[8] = bytes[3000] = static_cast<std::byte>(7 + i);
    }
    REQUIRE(tx.exceeds(1));
    tx.discard(RingFixture::unit(1));
    REQUIRE(tx.commit());
    CHECK(ring.value(0) == 7);
    CHECK(ring.value(1) == 0);
    CHECK(ring.value(2) == 9);
    REQUIRE(ring.open()); // replayed
    CHECK(ring.journal().report().records_replayed == 1);
    CHECK((ring.value(0) == 7 && ring.value(1) == 0 && ring.value(2) == 9));
}

TEST_CASE("journal: a unit held by another transaction asks for a retry", "[journal]") {
    RingFixture ring;
    Transaction first(ring.journal());
    REQUIRE(first.edit(RingFixture::unit(0)));
    Transaction second(ring.journal());
    CHECK(second.edit(RingFixture::unit(0)).code() == Errc::retry);
    first.abort();
    second.await_retry();
    CHECK(second.edit(RingFixture::unit(0)).has_value());
}

TEST_CASE("journal: of transactions that start again one runs at a time", "[journal]") {
    RingFixture ring;
    const auto want = [&](Transaction &tx, unsigned unit) {
        return tx.edit(RingFixture::unit(unit)).code() == Errc::retry;
    };
    Transaction holder(ring.journal()), one(ring.journal()), another(ring.journal());
    REQUIRE(holder.edit(RingFixture::unit(0)));
    REQUIRE(want(one, 0));
    REQUIRE(want(another, 0));
    holder.abort();
    one.await_retry();
    std::atomic<bool> runs{false};
    std::thread thread([&] {
        another.await_retry();
        runs = true;
        another.abort();
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    CHECK_FALSE(runs);
    one.abort();
    thread.join();
    CHECK(runs);
}

TEST_CASE("journal: a block that is in use is no new unit", "[journal]") {
    RingFixture ring;
    Transaction tx(ring.journal());
    REQUIRE(tx.edit(RingFixture::unit(0)));
    CHECK(tx.create(RingFixture::unit(0)).code() == Errc::corrupt);
    CHECK(tx.create(RingFixture::unit(1)).has_value());
}

TEST_CASE("journal: a change that exceeds a record is refused whole", "[journal]") {
    RingFixture ring;
    Transaction tx(ring.journal());
    for (std::uint64_t i = 0; i < 5; ++i) {
        auto *bytes = tx.edit(RingFixture::unit(i)).value();
        std::fill(bytes + 8, bytes + block_size, std::byte(i + 1));
    }
    CHECK(tx.exceeds(RingFixture::geometry.record_bytes_max()));
    CHECK_FALSE(tx.exceeds(5 * (block_size + sizeof(format::RecordEntry)) + 1024));
    CHECK(tx.commit().code() == Errc::too_big);
    CHECK(ring.value(0) == 0);
}
