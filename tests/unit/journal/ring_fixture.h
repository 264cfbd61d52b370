// SPDX-License-Identifier: BSD-3-Clause
//
// RingFixture: a journal on simulated media, with a few units to change.
#pragma once

#include "base/checksum.h"
#include "journal/journal.h"
#include "journal/transaction.h"
#include "support/catch.h"
#include "support/sim_device.h"
#include "support/test_env.h"

#include <algorithm>
#include <cstring>

namespace daxpin::test {

using journal::Journal;
using journal::Sequence;
using journal::Transaction;
using journal::UnitBytes;

inline constexpr std::uint64_t unit_count = 8;

// A ring of the least size and a few checked units, each of them a counter of changes.
class RingFixture {
  public:
    explicit RingFixture(Sequence start = 0) : devices_(open_table({media_})) {
        for (std::uint64_t i = 0; i < unit_count; ++i) {
            UnitBytes bytes{};
            const le32 crc = crc32c(std::span<const std::byte>(bytes).subspan(4));
            std::memcpy(bytes.data(), &crc, sizeof crc);
            REQUIRE(devices_.copy(unit(i), 0, bytes, device::StoreKind::nontemporal));
        }
        REQUIRE(Journal::format(devices_, geometry, env_, start));
        REQUIRE(open());
    }

    static MediaBlock unit(std::uint64_t i) { return MediaBlock::at(0, 100 + i); }

    Result<void> open(journal::Writing writing = journal::Writing::everything) {
        journal_.reset();
        auto opened = Journal::open(devices_, geometry, env_, writing);
        if (!opened)
            return std::move(opened).error();
        journal_ = *std::move(opened);
        return {};
    }
    Journal &journal() { return *journal_; }
    device::DeviceTable &devices() { return devices_; }
    SimMedia &media() { return *media_; }

    // Writes `value` to `words` words of unit i.
    Result<Sequence> change(std::uint64_t i, std::uint64_t value, unsigned words = 1) {
        Transaction tx(*journal_);
        DAXPIN_TRY_ASSIGN(auto *bytes, tx.edit(unit(i)));
        for (unsigned word = 0; word < words; ++word)
            std::memcpy(bytes + 8 + word * std::size_t{8}, &value, sizeof value);
        return tx.commit();
    }
    std::uint64_t value(std::uint64_t i) {
        std::uint64_t found = 0;
        REQUIRE(devices_.read(unit(i), 8, std::as_writable_bytes(std::span(&found, 1))));
        return found;
    }
    // Undoes the home write of a change, as if the cache line had been lost.
    void lose_home(std::uint64_t i, const UnitBytes &old) {
        std::ranges::copy(old, media_->bytes().begin() + static_cast<long>(offset_of(i)));
    }
    UnitBytes home(std::uint64_t i) {
        UnitBytes bytes;
        std::ranges::copy(media_->bytes().subspan(offset_of(i), block_size), bytes.begin());
        return bytes;
    }
    std::vector<std::byte> image() { return {media_->bytes().begin(), media_->bytes().end()}; }
    std::byte &ring_byte(Sequence position) {
        return media_->bytes()[geometry.ring_start * block_size + position % geometry.ring_bytes()];
    }

    static constexpr journal::Geometry geometry{.block_count = 256,
                                                .ring_start = 2,
                                                .ring_blocks = 32,
                                                .tail_cell_a = 1,
                                                .tail_cell_b = 40};

  private:
    static std::size_t offset_of(std::uint64_t i) { return unit(i).block() * block_size; }

    TestEnv env_;
    std::shared_ptr<SimMedia> media_ = SimMedia::create({.size = 1 << 20});
    device::DeviceTable devices_;
    std::unique_ptr<Journal> journal_;
};

} // namespace daxpin::test
