// SPDX-License-Identifier: BSD-3-Clause
#include "journal/homes.h"

#include "journal/ring.h"
#include "journal/units.h"
#include "support/catch.h"
#include "support/sim_device.h"

#include <map>
#include <vector>

using namespace daxpin;
using journal::Home;
using journal::Homes;

namespace {

MediaBlock unit(std::uint64_t i) {
    return MediaBlock::at(0, 1 + i);
}

struct Part {
    std::uint64_t unit;
    std::size_t offset, length;
};

std::vector<std::byte> record_of(const std::vector<Part> &parts) {
    std::vector<std::byte> record(sizeof(format::RecordHeader));
    for (const Part &part : parts) {
        format::RecordEntry entry{};
        entry.block = unit(part.unit).value;
        entry.offset = static_cast<std::uint16_t>(part.offset);
        entry.length = static_cast<std::uint16_t>(part.length);
        const auto header = std::as_bytes(std::span(&entry, 1));
        record.insert(record.end(), header.begin(), header.end());
        record.resize(record.size() + (part.length + 7) / 8 * 8);
    }
    record.resize((record.size() + 63) / 64 * 64);
    journal::seal_payload(record, static_cast<std::uint32_t>(parts.size()));
    return record;
}

// How often each line of the medium was flushed.
class FlushCount : public test::EventSink {
  public:
    explicit FlushCount(test::SimMedia &media) : media_(media) { media_.set_sink(this); }
    ~FlushCount() override { media_.set_sink(nullptr); }
    void about_to_store(const test::SimMedia &, std::uint64_t, std::span<const std::byte>,
                        device::StoreKind) override {}
    void flushed(const test::SimMedia &, std::uint64_t offset, std::uint64_t length) override {
        for (auto line = offset / 64; line * 64 < offset + length; ++line)
            ++lines_[line];
    }
    void drained(const test::SimMedia &) override {}

    const std::map<std::uint64_t, unsigned> &lines() const { return lines_; }
    static std::uint64_t line(std::uint64_t i, std::size_t offset) {
        return (unit(i).block() * block_size + offset) / 64;
    }

  private:
    test::SimMedia &media_;
    std::map<std::uint64_t, unsigned> lines_;
};

} // namespace

TEST_CASE("homes: those of a record, by unit", "[journal]") {
    Homes homes{{unit(9), 1}};
    journal::add_homes(record_of({{9, 64, 8}, {9, 4088, 8}, {2, 60, 16}, {9, 0, 1}}), homes);
    REQUIRE(homes.size() == 4); // what was there before is another record's
    CHECK(homes[0].lines == 1);
    CHECK((homes[1].unit == unit(9) && homes[1].lines == (std::uint64_t{1} << 63 | 2)));
    CHECK((homes[2].unit == unit(2) && homes[2].lines == 3));
    CHECK((homes[3].unit == unit(9) && homes[3].lines == 1));
}

TEST_CASE("homes: the first are taken, the others stay", "[journal]") {
    Homes homes;
    for (std::uint64_t i = 0; i < 100; ++i)
        homes.push_back({unit(i), i});
    const Homes taken = journal::take_homes(homes, 60);
    REQUIRE(taken.size() == 60);
    REQUIRE(homes.size() == 40);
    CHECK((taken.front().lines == 0 && taken.back().lines == 59));
    CHECK((homes.front().lines == 60 && homes.back().lines == 99));
    CHECK(journal::take_homes(homes, 0).empty());
    CHECK(homes.size() == 40);
}

TEST_CASE("homes: each line is flushed, and nothing else", "[journal]") {
    constexpr std::uint64_t units = 3000; // more than are remembered
    const auto media = test::SimMedia::create({.size = (units + 10) * block_size});
    const auto devices = test::open_table({media});
    Homes homes;
    std::map<std::uint64_t, unsigned> expected;
    for (const std::uint64_t round : {0, 1})
        for (std::uint64_t i = 0; i < units; ++i) {
            const auto offset = (i * 7 + round * 5) % 62 * 64;
            journal::add_homes(record_of({{i, offset, 72}, {i, 4032, 64}}), homes);
            for (const auto at : {offset, offset + 64, std::uint64_t{4032}})
                expected[FlushCount::line(i, at)] = 1;
        }
    const FlushCount count(*media);
    journal::flush_homes(devices, homes);
    CHECK(count.lines().size() == expected.size());
    for (const auto &[line, times] : expected)
        REQUIRE(count.lines().contains(line));
}

TEST_CASE("homes: a line that many records have is flushed once", "[journal]") {
    const auto media = test::SimMedia::create();
    const auto devices = test::open_table({media});
    Homes homes;
    for (std::uint64_t i = 0; i < 100; ++i)
        journal::add_homes(record_of({{0, 0, 64}, {i, 640, 64}, {0, 64 * (i % 2), 64}}), homes);
    const FlushCount count(*media);
    journal::flush_homes(devices, homes);
    CHECK(count.lines().size() == 102);
    for (const auto &[line, times] : count.lines())
        CHECK(times == 1);
}
