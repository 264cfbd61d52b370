// SPDX-License-Identifier: BSD-3-Clause
#include "journal/replay.h"

#include <algorithm>
#include <atomic>
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

// What a thread takes at a time: about as many stretches each, all of a unit in one.
std::vector<std::span<const Stretch>> pieces(std::span<const Stretch> all) {
    constexpr std::ptrdiff_t about = 4096; // takes longer than a thread to begin
    std::vector<std::span<const Stretch>> result;
    for (auto begin = all.begin(); begin != all.end();) {
        auto end = begin + std::min(about, all.end() - begin);
        end = end_of_unit(end - 1, all.end());
        result.emplace_back(begin, end);
        begin = end;
    }
    return result;
}

std::size_t threads_for(std::size_t pieces) {
    constexpr std::size_t threads_max = 4; // more would wait for memory
    return std::clamp<std::size_t>(
        std::min<std::size_t>(pieces, std::thread::hardware_concurrency()), 1, threads_max);
}

// Calls work(i) for each i < count, each but the first on a thread of its own if there can be one;
// returns when all have ended.
template <typename Work> void run_threads(std::size_t count, Work work) {
    std::vector<std::future<void>> others;
    for (std::size_t i = 1; i < count; ++i)
        others.push_back(
            std::async(std::launch::async | std::launch::deferred, [&work, i] { work(i); }));
    work(0);
    for (auto &other : others)
        other.get();
}

Result<void> first_error(std::vector<Result<void>> &results) {
    for (auto &result : results)
        if (!result)
            return std::move(result);
    return {};
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

    Result<void> build(std::span<const Stretch> piece) {
        auto expected = piece.begin();
        for (auto begin = piece.begin(); begin != piece.end();) {
            const auto end = end_of_unit(begin, piece.end());
            for (; expected != piece.end() && expected - end < ahead; ++expected)
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

    // Records hold what differs from the home, and no unit that is new: without the home there is
    // nothing to lay them over.
    Result<void> build_unit(std::span<const Stretch> of_unit) {
        const MediaBlock unit = of_unit.front().unit();
        if (!devices_.read(unit, 0, bytes_))
            return damaged("metadata block " + std::to_string(unit.block()) +
                           ", which it changes, cannot be read");
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
        const auto count = static_cast<std::size_t>(std::popcount(lines_));
        auto *line = static_cast<Line *>(part_.memory.allocate(count * sizeof(Line), sizeof(Line)));
        part_.units.push_back({unit, lines_, line});
        for (auto rest = lines_; rest != 0; rest &= rest - 1)
            std::memcpy(line++, &bytes_[std::countr_zero(rest) * line_bytes], line_bytes);
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
    const auto all = pieces(outcomes.all());
    Replay replay;
    replay.parts_ = std::vector<Part>(threads_for(all.size()));
    std::vector<Result<void>> results(all.size());
    std::atomic<std::size_t> next = 0;
    run_threads(replay.parts_.size(), [&](std::size_t thread) {
        Builder builder(ring, devices, replay.parts_[thread]);
        for (std::size_t i = next++; i < all.size(); i = next++)
            results[i] = builder.build(all[i]);
    });
    DAXPIN_TRY(first_error(results));
    return replay;
}

Result<void> Replay::write(const Part &part, const device::DeviceTable &devices) {
    for (const Touched &touched : part.units) {
        const Line *line = touched.bytes;
        for (auto rest = touched.lines; rest != 0;) { // each run of lines
            const auto first = static_cast<unsigned>(std::countr_zero(rest));
            const auto count = static_cast<unsigned>(std::countr_one(rest >> first));
            const auto bytes = std::as_bytes(std::span(line, count));
            DAXPIN_TRY(devices.copy(touched.unit, first * line_bytes, bytes,
                                    device::StoreKind::nontemporal));
            line += count;
            rest &= ~bits(first, first + count - 1);
        }
    }
    return devices.metadata().drain();
}

Result<void> Replay::write(const device::DeviceTable &devices) const {
    std::vector<Result<void>> results(parts_.size());
    run_threads(parts_.size(),
                [&](std::size_t thread) { results[thread] = write(parts_[thread], devices); });
    return first_error(results);
}

} // namespace daxpin::journal
