// SPDX-License-Identifier: BSD-3-Clause
//
// Journal::open: verify everything, replay, make the homes durable, begin a new epoch.
#include "journal/journal.h"
#include "journal/outcomes.h"
#include "journal/replay.h"
#include "journal/ring.h"
#include "journal/tail_cell.h"

namespace daxpin::journal {

namespace {

struct Found {
    Outcomes outcomes;
    std::uint64_t records;
    Sequence stop;
};

Result<void> add_outcomes(const Ring::Record &record, const Geometry &geometry,
                          Outcomes &outcomes) {
    return for_each_outcome(
        record.bytes,
        [&](const Outcome &outcome, std::size_t within, std::size_t bytes) -> Result<void> {
            if (outcome.unit.device() != 0 || !geometry.may_be_unit(outcome.unit.block()))
                return damaged("a record names a block that holds no metadata");
            outcomes.add(outcome.unit, record.position + within, bytes);
            return {};
        });
}

// Every record from the tail to the first that does not verify. Beyond it none may verify:
// a record is durable before the next begins, so a valid one there means one was lost.
Result<Found> find_records(const Ring &ring, const Geometry &geometry, Sequence tail) {
    Found found{{}, 0, tail};
    const auto end = tail + geometry.ring_bytes();
    RingWindow window(ring, end);
    while (found.stop < end) {
        const auto record = ring.record_after(found.stop, window);
        if (!record && record.code() == Errc::io)
            return damaged("unreadable at position " + std::to_string(found.stop));
        DAXPIN_TRY(record);
        if (!*record || (*record)->end() > end)
            break;
        DAXPIN_TRY(add_outcomes(**record, geometry, found.outcomes));
        found.stop = (*record)->end();
        ++found.records;
    }
    found.outcomes.sort_by_unit();
    const auto beyond = ring.any_header_beyond(found.stop, end);
    if (!beyond)
        return damaged("unreadable beyond position " + std::to_string(found.stop));
    if (*beyond)
        return damaged("a record was lost at position " + std::to_string(found.stop));
    return found;
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
    DAXPIN_TRY_ASSIGN(const Replay replay, Replay::prepare(found.outcomes, ring, devices_));
    durable_tail_ = cells.ruling.tail;
    head_ = claimed_ = found.stop;
    cell_counter_ = cells.ruling.counter;
    cells_agree_ = cells.both_agree;
    if (writing == Writing::nothing) {
        if (found.records != 0)
            return Error{Errc::read_only,
                         "the journal must be replayed and nothing may be written: mount the "
                         "volume once where that is allowed"};
        return {};
    }
    if (writing == Writing::recovery && found.records == 0)
        return {}; // one copy of the cell is enough to read on
    DAXPIN_TRY(restore_tail_cells());
    DAXPIN_TRY(replay.write(devices_));
    report_.records_replayed = found.records;
    return begin_epoch();
}

// The next cell is stored to A first: if that is torn, B must be sound.
Result<void> Journal::restore_tail_cells() {
    if (cells_agree_)
        return {};
    DAXPIN_TRY(write_tail_cell_copies(devices_, geometry_, {cell_counter_, durable_tail_, epoch_}));
    cells_agree_ = true;
    report_.tail_cell_restored = true;
    return {};
}

Result<void> Journal::begin_epoch() {
    MutexLock one_at_a_time(checkpoint_mutex_);
    if (epoch_is_new_)
        return {};
    DAXPIN_TRY(restore_tail_cells()); // if the volume was only read until now
    env_.random(epoch_);
    const Sequence tail = head();
    DAXPIN_TRY(write_tail_cells(tail));
    durable_tail_ = tail;
    epoch_is_new_ = true;
    return {};
}

} // namespace daxpin::journal
