// SPDX-License-Identifier: BSD-3-Clause
#include "journal/replay.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace daxpin::journal {

namespace {

constexpr std::size_t line_bytes = 64;
static_assert(block_size == 64 * line_bytes);

// Bits `first` to `last`.
std::uint64_t bits(std::size_t first, std::size_t last) {
    return ~std::uint64_t{0} >> (63 - (last - first)) << first;
}

using Iterator = std::span<const Stretch>::iterator;

Iterator end_of_unit(Iterator begin, Iterator end) {
    return std::find_if(begin, end, [&](const Stretch &at) { return at.block != begin->block; });
}

} // namespace

// Not to be read either: which homes are newer than the damage nobody can tell, and a mixture would
// show the data of one file as another's.
Error damaged(const std::string &what) {
    return {Errc::corrupt, "the journal is damaged (" + what +
                               "); nothing was written, and it cannot be mounted read-only either: "
                               "run fsck.daxpinfs -n to see what is wrong, -y to repair it"};
}

class Replay::Builder {
  public:
    Builder(const Ring &ring, const device::DeviceTable &devices, Replay &replay)
        : ring_(ring), devices_(devices), replay_(replay) {}

    Result<void> build(std::span<const Stretch> all) {
        auto expected = all.begin();
        for (auto begin = all.begin(); begin != all.end();) {
            const auto end = end_of_unit(begin, all.end());
            for (; expected != all.end() && expected - end < ahead; ++expected)
                expect(*expected);
            DAXPIN_TRY(build_unit({begin, end}));
            begin = end;
        }
        return {};
    }

  private:
    static constexpr std::ptrdiff_t ahead = 8; // stretches: time for the first bytes to arrive

    void expect(const Stretch &stretch) {
        ring_.prefetch(stretch.stands_at, stretch.bytes);
        if (std::exchange(expected_, stretch.unit()) != stretch.unit())
            devices_.prefetch(stretch.unit(), 0, block_size);
    }

    Result<void> build_unit(std::span<const Stretch> of_unit) {
        const MediaBlock unit = of_unit.front().unit();
        DAXPIN_TRY(devices_.read(unit, 0, bytes_));
        lines_ = 0;
        for (const Stretch &stretch : of_unit)
            DAXPIN_TRY(lay_over(stretch));
        if (!is_intact(bytes_))
            return damaged("metadata block " + std::to_string(unit.block()) +
                           " would have a wrong checksum");
        keep(unit);
        return {};
    }

    // What the search for records has read a moment ago may be lost since.
    Result<void> lay_over(const Stretch &stretch) {
        const auto bytes = std::span(ring_bytes_).first(stretch.bytes);
        if (!ring_.read(stretch.stands_at, bytes))
            return Error{Errc::corrupt, "the journal has become unreadable at position " +
                                            std::to_string(stretch.stands_at) +
                                            ": run fsck.daxpinfs -n to see what is wrong"};
        for (std::span<const std::byte> entries = bytes; !entries.empty();) {
            const auto outcome = take_outcome(entries);
            if (!outcome)
                return impossible_entry();
            std::memcpy(&bytes_[outcome->offset], outcome->bytes.data(), outcome->bytes.size());
            lines_ |= bits(outcome->offset / line_bytes,
                           (outcome->offset + outcome->bytes.size() - 1) / line_bytes);
        }
        return {};
    }

    void keep(MediaBlock unit) {
        replay_.units_.push_back({unit, lines_});
        for (auto rest = lines_; rest != 0; rest &= rest - 1) {
            Line &line = replay_.lines_.emplace_back();
            std::memcpy(line.data(), &bytes_[std::countr_zero(rest) * line_bytes], line_bytes);
        }
    }

    const Ring &ring_;
    const device::DeviceTable &devices_;
    Replay &replay_;
    MediaBlock expected_;
    UnitBytes bytes_;         // of the unit that is built
    std::uint64_t lines_ = 0; // of it, touched
    std::array<std::byte, Stretch::bytes_max> ring_bytes_;
};

Result<Replay> Replay::prepare(const Outcomes &outcomes, const Ring &ring,
                               const device::DeviceTable &devices) {
    Replay replay;
    DAXPIN_TRY(Builder(ring, devices, replay).build(outcomes.all()));
    return replay;
}

Result<void> Replay::write(const device::DeviceTable &devices) const {
    auto line = lines_.begin();
    for (const auto &[unit, lines] : units_)
        for (auto rest = lines; rest != 0;) { // each run of lines
            const auto first = static_cast<unsigned>(std::countr_zero(rest));
            const auto count = static_cast<unsigned>(std::countr_one(rest >> first));
            const auto bytes = std::as_bytes(std::span(line, count));
            DAXPIN_TRY(
                devices.copy(unit, first * line_bytes, bytes, device::StoreKind::nontemporal));
            line += count;
            rest &= ~bits(first, first + count - 1);
        }
    return devices.metadata().drain();
}

} // namespace daxpin::journal
