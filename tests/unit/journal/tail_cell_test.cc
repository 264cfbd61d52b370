// SPDX-License-Identifier: BSD-3-Clause
#include "journal/tail_cell.h"

#include "ring_fixture.h"

#include <array>

using namespace daxpin;
using namespace daxpin::test;

TEST_CASE("tail cell: either copy of the tail cell alone is enough", "[journal]") {
    RingFixture ring;
    REQUIRE(ring.change(0, 1));
    REQUIRE(ring.journal().checkpoint());
    REQUIRE(ring.change(0, 2));
    const auto lost =
        GENERATE(RingFixture::geometry.tail_cell_a, RingFixture::geometry.tail_cell_b);
    ring.media().bytes()[lost * block_size + 9] ^= std::byte{1};
    REQUIRE(ring.open());
    CHECK(ring.value(0) == 2);
    CHECK(ring.journal().report().tail_cell_restored);
    CHECK(journal::read_tail_cells(ring.devices(), RingFixture::geometry)->both_agree);
    for (const auto cell : {RingFixture::geometry.tail_cell_a, RingFixture::geometry.tail_cell_b})
        ring.media().bytes()[cell * block_size + 9] ^= std::byte{1};
    CHECK(ring.open().code() == Errc::corrupt);
}

TEST_CASE("tail cell: a copy of the tail cell in a bad block is made anew, or done without",
          "[journal]") {
    RingFixture ring;
    REQUIRE(ring.change(0, 1));
    REQUIRE(ring.journal().checkpoint());
    const bool replays = GENERATE(false, true);
    if (replays)
        REQUIRE(ring.change(0, 2));
    const auto lost =
        GENERATE(RingFixture::geometry.tail_cell_a, RingFixture::geometry.tail_cell_b);
    ring.media().poison(lost * block_size, block_size);
    SECTION("where the medium takes new bytes") {
        ring.media().heal_on_rewrite(true);
        REQUIRE(ring.open());
        CHECK(ring.journal().report().tail_cell_restored);
        CHECK(journal::read_tail_cells(ring.devices(), RingFixture::geometry)->both_agree);
        CHECK(ring.devices().bad_blocks().empty());
    }
    SECTION("for reading, where it stays bad") {
        CHECK(ring.open(journal::Writing::recovery).has_value() == !replays);
    }
    CHECK(ring.value(0) == (replays ? 2 : 1));
}

namespace {

// Counts stores that change copy A of the tail cell while copy B is not what A was at first.
class CellOrder final : public test::EventSink {
  public:
    explicit CellOrder(RingFixture &ring) : ring_(ring) {
        std::ranges::copy(cell(RingFixture::geometry.tail_cell_a), ruling_.begin());
        ring.media().set_sink(this);
    }
    ~CellOrder() { ring_.media().set_sink(nullptr); }
    void about_to_store(const test::SimMedia &, std::uint64_t offset, std::span<const std::byte> in,
                        device::StoreKind) override {
        if (offset / block_size != RingFixture::geometry.tail_cell_a)
            return;
        const auto old = ring_.media().bytes().subspan(offset, in.size());
        if (std::ranges::equal(in, old))
            return;
        ++changes;
        exposed += !std::ranges::equal(ruling_, cell(RingFixture::geometry.tail_cell_b));
    }
    void flushed(const test::SimMedia &, std::uint64_t, std::uint64_t) override {}
    void drained(const test::SimMedia &) override {}
    unsigned changes = 0;
    unsigned exposed = 0;

  private:
    std::span<std::byte> cell(std::uint64_t block) {
        return ring_.media().bytes().subspan(block * block_size, sizeof(format::TailCell));
    }
    RingFixture &ring_;
    std::array<std::byte, sizeof(format::TailCell)> ruling_;
};

} // namespace

TEST_CASE("tail cell: what was only read gets a sound second cell before a new first one",
          "[journal]") {
    RingFixture ring;
    REQUIRE(ring.change(0, 1));
    REQUIRE(ring.journal().checkpoint());
    ring.media().bytes()[RingFixture::geometry.tail_cell_b * block_size + 9] ^= std::byte{1};
    const auto before = ring.image();
    REQUIRE(ring.open(journal::Writing::recovery));
    CHECK(ring.image() == before);
    CellOrder order(ring);
    REQUIRE(ring.journal().begin_epoch());
    CHECK(order.changes > 0);
    CHECK(order.exposed == 0);
    CHECK(journal::read_tail_cells(ring.devices(), RingFixture::geometry)->both_agree);
}

TEST_CASE("tail cell: a tail so large that sums overflow is damage", "[journal]") {
    RingFixture ring;
    REQUIRE(ring.change(0, 1));
    auto forged = journal::read_tail_cells(ring.devices(), RingFixture::geometry)->ruling;
    const auto honest = forged;
    forged.counter += 1;
    forged.tail = GENERATE(std::uint64_t{0} - 64, std::uint64_t{1} << 63);
    REQUIRE(journal::write_tail_cell_copies(ring.devices(), RingFixture::geometry, forged));
    CHECK(ring.open().code() == Errc::corrupt);
    // One copy: the other rules.
    const auto bytes = ring.media().bytes();
    const auto cell = bytes.subspan(RingFixture::geometry.tail_cell_a * block_size, 64);
    const std::vector<std::byte> mirror(cell.begin(), cell.end());
    REQUIRE(journal::write_tail_cell_copies(ring.devices(), RingFixture::geometry, honest));
    std::ranges::copy(mirror, cell.begin());
    REQUIRE(ring.open());
    CHECK(ring.value(0) == 1);
}

TEST_CASE("tail cell: of two good tail cells the one written last rules", "[journal]") {
    RingFixture ring;
    REQUIRE(ring.change(0, 1));
    const auto older =
        GENERATE(RingFixture::geometry.tail_cell_a, RingFixture::geometry.tail_cell_b);
    const auto cell = ring.media().bytes().subspan(older * block_size, 64);
    const std::vector<std::byte> before(cell.begin(), cell.end());
    REQUIRE(ring.journal().checkpoint());
    std::ranges::copy(before, cell.begin());
    REQUIRE(ring.open());
    CHECK(ring.journal().report().records_replayed == 0);
    CHECK(ring.value(0) == 1);
}

TEST_CASE("tail cell: tail cells that contradict each other are damage", "[journal]") {
    RingFixture ring;
    REQUIRE(ring.change(0, 1));
    auto other = journal::read_tail_cells(ring.devices(), RingFixture::geometry)->ruling;
    other.tail = ring.journal().head();
    const auto bytes = ring.media().bytes();
    const auto cell = bytes.subspan(RingFixture::geometry.tail_cell_b * block_size, 64);
    const std::vector<std::byte> mirror(cell.begin(), cell.end());
    REQUIRE(journal::write_tail_cell_copies(ring.devices(), RingFixture::geometry, other));
    std::ranges::copy(mirror, cell.begin()); // A says the one thing, B the other
    CHECK(ring.open().code() == Errc::corrupt);
}
