// SPDX-License-Identifier: BSD-3-Clause
//
// Journal::open: verify everything, replay, make the homes durable, begin a new epoch.
#include "journal/journal.h"
#include "journal/outcomes.h"
#include "journal/ring.h"
#include "journal/tail_cell.h"

#include <bit>

namespace daxpin::journal {

namespace {

constexpr std::size_t line_bytes = 64;

struct Found {
    Outcomes outcomes;
    std::uint64_t records;
    Sequence stop;
};

// Not to be read either: which homes are newer than the damage nobody can tell, and a mixture would
// show the data of one file as another's.
Error damaged(const std::string &what) {
    return {Errc::corrupt, "the journal is damaged (" + what +
                               "); nothing was written, and it cannot be mounted read-only either: "
                               "run fsck.daxpinfs -n to see what is wrong, -y to repair it"};
}

Result<void> add_outcomes(const Ring::Record &record, const Geometry &geometry,
                          Outcomes &outcomes) {
    return for_each_outcome(
        record.bytes,
        [&](MediaBlock block, std::uint64_t offset,
            std::span<const std::byte> bytes) -> Result<void> {
            if (block.device() != 0 || !geometry.may_be_unit(block.block()))
                return damaged("a record names a block that holds no metadata");
            const auto within = static_cast<std::uint64_t>(bytes.data() - record.bytes.data());
            outcomes.add({block, record.position + within, static_cast<std::uint16_t>(offset),
                          static_cast<std::uint16_t>(bytes.size())});
            return {};
        });
}

// Every record from the tail to the first that does not verify. Beyond it none may verify:
// a record is durable before the next begins, so a valid one there means one was lost.
Result<Found> find_records(const Ring &ring, const Geometry &geometry, Sequence tail) {
    Found found{{}, 0, tail};
    std::vector<std::byte> buffer;
    const auto end = tail + geometry.ring_bytes();
    while (found.stop < end) {
        const auto record = ring.record_after(found.stop, buffer);
        if (!record && record.code() == Errc::io)
            return damaged("unreadable at position " + std::to_string(found.stop));
        DAXPIN_TRY(record);
        if (!*record || (*record)->end() > end)
            break;
        DAXPIN_TRY(add_outcomes(**record, geometry, found.outcomes));
        found.stop = (*record)->end();
        ++found.records;
    }
    found.outcomes.finish();
    const auto beyond = ring.any_header_beyond(found.stop, end);
    if (!beyond)
        return damaged("unreadable beyond position " + std::to_string(found.stop));
    if (*beyond)
        return damaged("a record was lost at position " + std::to_string(found.stop));
    return found;
}

// Copies the bytes of an outcome to their place in `unit`. What find_records() has read a moment
// ago may be lost since.
Result<std::span<const std::byte>> fetch(const Ring &ring, const device::DeviceTable &devices,
                                         const Outcome &outcome, UnitBytes &unit) {
    const auto bytes = std::span(unit).subspan(outcome.offset, outcome.length);
    if (!devices.read(ring.block_of(outcome.stands_at), ring.seat(outcome.stands_at) % block_size,
                      bytes))
        return Error{Errc::corrupt, "the journal has become unreadable at position " +
                                        std::to_string(outcome.stands_at) +
                                        ": run fsck.daxpinfs -n to see what is wrong"};
    return bytes;
}

// Verifies the units that records touch as they will be, so that damage is found before anything
// is written: a newest record that does not verify any more may have gone home already, and
// replaying those before it would put homes back that it had changed.
Result<void> verify(const Outcomes &outcomes, const Ring &ring,
                    const device::DeviceTable &devices) {
    UnitBytes unit;
    return outcomes.for_each_unit([&](std::span<const Outcome> of_unit) -> Result<void> {
        DAXPIN_TRY(devices.read(of_unit.front().unit, 0, unit));
        for (const auto &outcome : of_unit)
            DAXPIN_TRY(fetch(ring, devices, outcome, unit));
        if (!is_intact(unit))
            return damaged("metadata block " + std::to_string(of_unit.front().unit.block()) +
                           " would have a wrong checksum");
        return {};
    });
}

// Home, durably. Units need no order among them: until the tail moves all of it can be repeated.
// They are not marked as verified: the bytes were read once more for this.
Result<void> replay(const Outcomes &outcomes, const Ring &ring,
                    const device::DeviceTable &devices) {
    UnitBytes unit;
    DAXPIN_TRY(outcomes.for_each_unit([&](std::span<const Outcome> of_unit) -> Result<void> {
        const auto block = of_unit.front().unit;
        std::uint64_t lines = 0; // a bit for each that is stored to
        static_assert(block_size == 64 * line_bytes);
        for (const auto &outcome : of_unit) {
            DAXPIN_TRY_ASSIGN(const auto bytes, fetch(ring, devices, outcome, unit));
            DAXPIN_TRY(devices.copy(block, outcome.offset, bytes, device::StoreKind::cached));
            for (std::size_t line = outcome.offset / line_bytes;
                 line * line_bytes < std::size_t{outcome.offset} + outcome.length; ++line)
                lines |= std::uint64_t{1} << line;
        }
        for (; lines != 0; lines &= lines - 1)
            devices.flush(block, static_cast<unsigned>(std::countr_zero(lines)) * line_bytes,
                          line_bytes);
        return {};
    }));
    return devices.metadata().drain();
}

} // namespace

Result<std::unique_ptr<Journal>>
Journal::open(device::DeviceTable &devices, const Geometry &geometry, Env &env, Writing writing) {
    std::unique_ptr<Journal> journal(new Journal(devices, geometry, env));
    DAXPIN_TRY(journal->recover(devices.metadata().info().read_only ? Writing::nothing : writing));
    return journal;
}

Result<void> Journal::recover(Writing writing) {
    DAXPIN_TRY_ASSIGN(const auto cells, read_tail_cells(devices_, geometry_));
    epoch_ = cells.ruling.epoch;
    const Ring ring(devices_, geometry_, epoch_);
    DAXPIN_TRY_ASSIGN(const auto found, find_records(ring, geometry_, cells.ruling.tail));
    DAXPIN_TRY(verify(found.outcomes, ring, devices_));
    durable_tail_ = cells.ruling.tail;
    head_ = claimed_ = found.stop;
    cell_counter_ = cells.ruling.counter;
    if (writing == Writing::nothing) {
        if (found.records != 0)
            return Error{Errc::read_only,
                         "the journal must be replayed and nothing may be written: "
                         "mount it once writable"};
        return {};
    }
    const bool orderly = found.records == 0 && cells.both_agree;
    if (writing == Writing::recovery && orderly)
        return {};
    if (!cells.both_agree) {
        DAXPIN_TRY(write_tail_cell_copies(devices_, geometry_, cells.ruling));
        report_.tail_cell_restored = true;
    }
    DAXPIN_TRY(replay(found.outcomes, ring, devices_));
    report_.records_replayed = found.records;
    return begin_epoch();
}

Result<void> Journal::begin_epoch() {
    MutexLock one_at_a_time(checkpoint_mutex_);
    if (epoch_is_new_)
        return {};
    env_.random(epoch_);
    const Sequence tail = head();
    DAXPIN_TRY(write_tail_cells(tail));
    durable_tail_ = tail;
    epoch_is_new_ = true;
    return {};
}

} // namespace daxpin::journal
