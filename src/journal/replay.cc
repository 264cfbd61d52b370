// SPDX-License-Identifier: BSD-3-Clause
#include "journal/replay.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <future>
#include <thread>
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

// The parts that threads take: of about the same size, each unit in one of them.
std::vector<std::span<const Stretch>> shares(std::span<const Stretch> all) {
    constexpr std::size_t threads_max = 4;       // more would wait for memory
    constexpr std::size_t worth_a_thread = 8192; // stretches: more than a thread costs
    const std::size_t threads = std::clamp<std::size_t>(
        std::min<std::size_t>(all.size() / worth_a_thread, std::thread::hardware_concurrency()), 1,
        threads_max);
    std::vector<std::span<const Stretch>> result;
    auto begin = all.begin();
    for (std::size_t i = 1; i <= threads; ++i) {
        auto end =
            std::max(begin, all.begin() + static_cast<std::ptrdiff_t>(all.size() * i / threads));
        if (begin != end)
            end = end_of_unit(end - 1, all.end());
        result.emplace_back(begin, end);
        begin = end;
    }
    return result;
}

// Calls work(i) for each i < count, each but the first on a thread of its own if there can be one;
// returns when all have ended. The error is that of the lowest i, whoever was first.
template <typename Work> Result<void> for_each_part(std::size_t count, Work work) {
    std::vector<std::future<Result<void>>> others;
    for (std::size_t i = 1; i < count; ++i)
        others.push_back(
            std::async(std::launch::async | std::launch::deferred, [&work, i] { return work(i); }));
    auto result = work(0);
    for (auto &other : others)
        if (auto done = other.get(); result && !done)
            result = std::move(done);
    return result;
}

} // namespace

// Not to be read either: which homes are newer than the damage nobody can tell, and a mixture would
// show the data of one file as another's.
Error damaged(const std::string &what) {
    return {Errc::corrupt, "the journal is damaged (" + what +
                               "); nothing was written, and it cannot be mounted read-only either: "
                               "run fsck.daxpinfs -n to see what is wrong, -y to repair it"};
}

// Builds the units of one part.
class Replay::Builder {
  public:
    Builder(const Ring &ring, const device::DeviceTable &devices, Part &part)
        : ring_(ring), devices_(devices), part_(part) {}

    Result<void> build(std::span<const Stretch> share) {
        auto expected = share.begin();
        for (auto begin = share.begin(); begin != share.end();) {
            const auto end = end_of_unit(begin, share.end());
            for (; expected != share.end() && expected - end < ahead; ++expected)
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
        part_.units.push_back({unit, lines_});
        for (auto rest = lines_; rest != 0; rest &= rest - 1) {
            Line &line = part_.lines.emplace_back();
            std::memcpy(line.data(), &bytes_[std::countr_zero(rest) * line_bytes], line_bytes);
        }
    }

    const Ring &ring_;
    const device::DeviceTable &devices_;
    Part &part_;
    MediaBlock expected_;
    UnitBytes bytes_;         // of the unit that is built
    std::uint64_t lines_ = 0; // of it, touched
    std::array<std::byte, Stretch::bytes_max> ring_bytes_;
};

Result<Replay> Replay::prepare(const Outcomes &outcomes, const Ring &ring,
                               const device::DeviceTable &devices) {
    const auto shared_out = shares(outcomes.all());
    Replay replay;
    replay.parts_.resize(shared_out.size());
    DAXPIN_TRY(for_each_part(shared_out.size(), [&](std::size_t i) {
        return Builder(ring, devices, replay.parts_[i]).build(shared_out[i]);
    }));
    return replay;
}

Result<void> Replay::write(const Part &part, const device::DeviceTable &devices) {
    auto line = part.lines.begin();
    for (const auto &[unit, lines] : part.units)
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

Result<void> Replay::write(const device::DeviceTable &devices) const {
    return for_each_part(parts_.size(), [&](std::size_t i) { return write(parts_[i], devices); });
}

} // namespace daxpin::journal
