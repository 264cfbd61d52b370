// SPDX-License-Identifier: BSD-3-Clause
#include "journal/homes.h"

#include "base/assert.h"
#include "journal/ring.h"
#include "journal/units.h"

#include <array>
#include <bit>
#include <utility>

namespace daxpin::journal {

namespace {

void flush_home(const device::DeviceTable &devices, const Home &home) {
    for (std::uint64_t left = home.lines; left != 0;) {
        const auto first = static_cast<unsigned>(std::countr_zero(left));
        const auto count = static_cast<unsigned>(std::countr_one(left >> first));
        devices.flush(home.unit, first * checksum_line_bytes, count * checksum_line_bytes);
        left &= ~lines_of(first * checksum_line_bytes, count * checksum_line_bytes);
    }
}

} // namespace

void add_homes(std::span<const std::byte> record, Homes &homes) {
    const std::size_t before = homes.size();
    const auto add = [&](const Outcome &outcome, std::size_t, std::size_t) -> Result<void> {
        const auto lines = lines_of(outcome.offset, outcome.bytes.size());
        if (homes.size() > before && homes.back().unit == outcome.unit)
            homes.back().lines |= lines;
        else
            homes.push_back({outcome.unit, lines});
        return {};
    };
    const auto added = for_each_outcome(record, add);
    DAXPIN_ASSERT(added.has_value());
}

Homes take_homes(Homes &homes, std::size_t count) {
    DAXPIN_ASSERT(count <= homes.size());
    const auto end = homes.begin() + static_cast<Homes::difference_type>(count);
    Homes rest(end, homes.end());
    Homes taken = std::exchange(homes, std::move(rest));
    taken.resize(count);
    return taken;
}

// The units that were changed last stand in a table, each in one seat, and are flushed when another
// one takes it.
void flush_homes(const device::DeviceTable &devices, const Homes &homes) {
    constexpr std::size_t seats = 1024;
    std::array<Home, seats> table{};
    for (const Home &home : homes) {
        Home &seat = table[home.unit.block() % seats];
        if (seat.unit != home.unit) {
            flush_home(devices, seat);
            seat = {home.unit, 0};
        }
        seat.lines |= home.lines;
    }
    for (const Home &seat : table)
        flush_home(devices, seat);
}

} // namespace daxpin::journal
