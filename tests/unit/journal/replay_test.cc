// SPDX-License-Identifier: BSD-3-Clause
//
// Recovery of rings whose records are written by hand, with the volume's epoch.
#include "journal/replay.h"

#include "base/checksum.h"
#include "journal/tail_cell.h"
#include "support/catch.h"
#include "support/sim_device.h"
#include "support/test_env.h"

#include <algorithm>
#include <map>
#include <random>

using namespace daxpin;
using journal::Journal;
using journal::Sequence;
using journal::UnitBytes;

namespace {

constexpr journal::Geometry geometry{.block_count = 2048,
                                     .ring_start = 2,
                                     .ring_blocks = 768, // 3 MiB
                                     .tail_cell_a = 1,
                                     .tail_cell_b = 800};

struct Entry {
    std::uint64_t unit;
    std::size_t offset;
    std::vector<std::byte> bytes;
};

void seal(UnitBytes &unit) {
    const le32 crc = crc32c(std::span<const std::byte>(unit).subspan(4));
    std::memcpy(unit.data(), &crc, sizeof crc);
}

// A volume in need of recovery, and what its units have to be afterwards.
class ForgedRing {
  public:
    explicit ForgedRing(std::uint64_t units, Sequence start = 0)
        : devices_(test::open_table({media_})), expected_(units), head_(start), end_(start) {
        for (std::uint64_t i = 0; i < units; ++i) {
            std::ranges::generate(expected_[i], [&] { return random_byte(); });
            seal(expected_[i]);
            std::ranges::copy(expected_[i], home(i).begin());
        }
        REQUIRE(Journal::format(devices_, geometry, env_, start));
        epoch_ = journal::read_tail_cells(devices_, geometry)->ruling.epoch;
    }

    void add_record(const std::vector<Entry> &entries) {
        std::vector<std::byte> record(sizeof(format::RecordHeader));
        for (const auto &[unit, offset, bytes] : entries) {
            format::RecordEntry entry{};
            entry.block = block_of(unit).value;
            entry.offset = static_cast<std::uint16_t>(offset);
            entry.length = static_cast<std::uint16_t>(bytes.size());
            const auto header = std::as_bytes(std::span(&entry, 1));
            record.insert(record.end(), header.begin(), header.end());
            record.insert(record.end(), bytes.begin(), bytes.end());
            record.resize((record.size() + 7) / 8 * 8);
            std::ranges::copy(bytes, expected_[unit].begin() + static_cast<long>(offset));
        }
        record.resize((record.size() + 63) / 64 * 64);
        head_ = ring_.place(end_, record.size());
        journal::seal_payload(record, static_cast<std::uint32_t>(entries.size()));
        journal::seal_record(record, head_, std::exchange(end_, head_ + record.size()), epoch_);
        std::ranges::copy(record, &ring_byte(head_));
    }
    // Records that make the checksums right.
    void add_checksums() {
        for (std::uint64_t i = 0; i < expected_.size(); ++i) {
            seal(expected_[i]);
            add_record({{i, 0, {expected_[i].begin(), expected_[i].begin() + 4}}});
        }
    }
    // Records with room for `stretches` of them, each unit in turn; checksums are right then.
    void fill(std::size_t stretches) {
        for (std::size_t i = 0; i < stretches;) {
            std::vector<Entry> entries;
            for (unsigned each = 0; each < 64; ++each, ++i)
                entries.push_back({i * 7 % expected_.size(), 8 + random_() % 511 * 8, bytes(8)});
            add_record(entries);
        }
        add_checksums();
    }

    Result<std::unique_ptr<Journal>> open() { return Journal::open(devices_, geometry, env_); }
    bool is_replayed() const {
        for (std::uint64_t i = 0; i < expected_.size(); ++i)
            if (!std::ranges::equal(home(i), expected_[i]))
                return false;
        return true;
    }

    std::vector<std::byte> bytes(std::size_t count) {
        std::vector<std::byte> result(count);
        std::ranges::generate(result, [&] { return random_byte(); });
        return result;
    }
    static MediaBlock block_of(std::uint64_t unit) { return MediaBlock::at(0, 900 + unit); }
    std::span<std::byte> home(std::uint64_t unit) const {
        return media_->bytes().subspan(block_of(unit).block() * block_size, block_size);
    }
    std::byte &ring_byte(Sequence position) {
        return media_->bytes()[geometry.ring_start * block_size + position % geometry.ring_bytes()];
    }
    std::vector<std::byte> image() const {
        return {media_->bytes().begin(), media_->bytes().end()};
    }
    test::SimMedia &media() { return *media_; }
    device::DeviceTable &devices() { return devices_; }
    const journal::Ring &ring() const { return ring_; }
    Sequence newest() const { return head_; }
    std::mt19937 &random() { return random_; }

  private:
    std::byte random_byte() { return std::byte(random_() & 0xff); }

    std::mt19937 random_{4711};
    test::TestEnv env_;
    std::shared_ptr<test::SimMedia> media_ = test::SimMedia::create({.size = 8 << 20});
    device::DeviceTable devices_;
    HashKey epoch_{};
    journal::Ring ring_{devices_, geometry, epoch_};
    std::vector<UnitBytes> expected_;
    Sequence head_; // of the newest record
    Sequence end_;
};

constexpr std::size_t many = 30'000; // stretches: enough for several threads

// Sees whether something is on its way to the medium when the tail moves.
class TailWatch : public test::EventSink {
  public:
    void about_to_store(const test::SimMedia &, std::uint64_t offset, std::span<const std::byte>,
                        device::StoreKind) override {
        if (offset / block_size == geometry.tail_cell_a && tail_moves_++ == 0)
            for (const auto &[thread, stores] : pending_)
                pending_at_tail_ += stores;
        ++pending_[test::thread_number()];
    }
    void flushed(const test::SimMedia &, std::uint64_t, std::uint64_t) override {}
    void drained(const test::SimMedia &) override { pending_[test::thread_number()] = 0; }

    unsigned tail_moves() const { return tail_moves_; }
    std::size_t pending_at_tail() const { return pending_at_tail_; }

  private:
    std::map<unsigned, std::size_t> pending_; // stores by thread
    unsigned tail_moves_ = 0;
    std::size_t pending_at_tail_ = 0;
};

} // namespace

TEST_CASE("replay: each byte is what the newest record that names it says", "[journal]") {
    const auto start = GENERATE(Sequence{0}, 5 * geometry.ring_bytes() - 20'032);
    ForgedRing ring(5, start);
    for (unsigned i = 0; i < 300; ++i) {
        std::vector<Entry> entries;
        for (auto count = 1 + ring.random()() % 6; count > 0; --count) {
            // Bytes that fill no words, too.
            const std::size_t grain = ring.random()() % 2 == 0 ? 8 : 1;
            const std::size_t offset = ring.random()() % (4096 / grain) * grain;
            const std::size_t length =
                std::min<std::size_t>((1 + ring.random()() % 64) * grain, 4096 - offset);
            entries.push_back({ring.random()() % 5, offset, ring.bytes(length)});
        }
        ring.add_record(entries);
    }
    ring.add_checksums();
    REQUIRE(ring.open());
    CHECK(ring.is_replayed());
}

TEST_CASE("replay: entries that fill a unit many times over are replayed", "[journal]") {
    ForgedRing ring(2);
    std::vector<Entry> entries;
    for (unsigned i = 0; i < 20; ++i)
        entries.push_back({i / 15, 0, ring.bytes(block_size)});
    ring.add_record(entries);
    ring.add_checksums();
    REQUIRE(ring.open());
    CHECK(ring.is_replayed());
}

TEST_CASE("replay: lines that no record touches are not written", "[journal]") {
    ForgedRing ring(1);
    ring.add_record({{0, 1000, ring.bytes(100)}, {0, 4095, ring.bytes(1)}});
    ring.add_checksums();
    class Watch : public test::EventSink {
      public:
        void about_to_store(const test::SimMedia &, std::uint64_t offset,
                            std::span<const std::byte> in, device::StoreKind) override {
            const auto home = ForgedRing::block_of(0).block() * block_size;
            if (offset >= home)
                stored.emplace_back(offset - home, in.size());
        }
        void flushed(const test::SimMedia &, std::uint64_t, std::uint64_t) override {}
        void drained(const test::SimMedia &) override {}
        std::vector<std::pair<std::uint64_t, std::size_t>> stored;
    } watch;
    ring.media().set_sink(&watch);
    REQUIRE(ring.open());
    ring.media().set_sink(nullptr);
    CHECK(watch.stored == decltype(watch.stored){{0, 64}, {960, 192}, {4032, 64}});
    CHECK(ring.is_replayed());
}

TEST_CASE("replay: a full ring is replayed as a short one, and durably", "[journal]") {
    ForgedRing ring(1000);
    ring.fill(many);
    TailWatch watch;
    ring.media().set_sink(&watch);
    REQUIRE(ring.open());
    ring.media().set_sink(nullptr);
    CHECK(ring.is_replayed());
    CHECK(watch.tail_moves() > 0);
    CHECK(watch.pending_at_tail() == 0);
}

TEST_CASE("replay: of damaged units the first is named, whoever finds one, and none is written",
          "[journal]") {
    ForgedRing ring(1000);
    ring.fill(many);
    const std::uint64_t first = GENERATE(0, 499, 998);
    // The last one has little to read before it, in its thread.
    for (const auto unit : {first, std::uint64_t{999}})
        for (auto &byte : ring.home(unit))
            byte ^= std::byte{1};
    const auto before = ring.image();
    for (unsigned i = 0; i < 10; ++i) {
        const auto opened = ring.open();
        REQUIRE_FALSE(opened.has_value());
        CHECK(opened.code() == Errc::corrupt);
        const auto named =
            "metadata block " + std::to_string(ForgedRing::block_of(first).block()) + " ";
        CHECK(opened.error().text.find(named) != std::string::npos);
    }
    CHECK((ring.image() == before)); // not printed
}

TEST_CASE("replay: the record that cannot be read is told, also where records are many",
          "[journal]") {
    ForgedRing ring(3);
    std::vector<Sequence> positions;
    for (unsigned i = 0; i < 300; ++i) {
        ring.add_record({{i % 3, 8, ring.bytes(40)}});
        positions.push_back(ring.newest());
    }
    const auto lost = positions[GENERATE(0u, 100u, 299u)];
    ring.media().poison(geometry.ring_start * block_size + lost, 64);
    const auto opened = ring.open();
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.code() == Errc::corrupt);
    CHECK(opened.error().text.find("unreadable at position " + std::to_string(lost) + ")") !=
          std::string::npos);
}

TEST_CASE("replay: a window reads nothing beyond its end", "[journal]") {
    ForgedRing ring(1);
    const Sequence end = 10 * block_size;
    ring.media().poison(geometry.ring_start * block_size + end, block_size);
    journal::RingWindow window(ring.ring(), end);
    REQUIRE(window.bytes(64, 64));
    REQUIRE(window.bytes(end - 64, 64));
    CHECK(ring.devices().bad_blocks().all().empty());
    for (unsigned i = 0; i < 2; ++i)
        CHECK(window.bytes(end, 64).code() == Errc::io); // asked for
}
