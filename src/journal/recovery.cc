// SPDX-License-Identifier: BSD-3-Clause
//
// Journal::open: verify everything, replay, make the homes durable, begin a new epoch.
#include "journal/journal.h"
#include "journal/ring.h"
#include "journal/tail_cell.h"

#include <algorithm>
#include <map>

namespace daxpin::journal {

namespace {

struct Found {
    std::vector<Ring::Record> records;
    Sequence stop;
};

// Not to be read either: which homes are newer than the damage nobody can tell, and a mixture would
// show the data of one file as another's.
Error damaged(const std::string &what) {
    return {Errc::corrupt, "the journal is damaged (" + what +
                               "); nothing was written, and it cannot be mounted read-only either: "
                               "run fsck.daxpinfs -n to see what is wrong, -y to repair it"};
}

// Every record from the tail to the first that does not verify. Beyond it none may verify:
// a record is durable before the next begins, so a valid one there means one was lost.
Result<Found> find_records(const Ring &ring, const Geometry &geometry, Sequence tail) {
    Found found{{}, tail};
    const auto end = tail + geometry.ring_bytes();
    while (found.stop < end) {
        auto record = ring.record_after(found.stop);
        if (!record && record.code() == Errc::io)
            return damaged("unreadable at position " + std::to_string(found.stop));
        if (!record)
            return std::move(record).error();
        if (!*record || (*record)->end() > end)
            break;
        found.stop = (*record)->end();
        found.records.push_back(std::move(**record));
    }
    const auto beyond = ring.any_header_beyond(found.stop, end);
    if (!beyond)
        return damaged("unreadable beyond position " + std::to_string(found.stop));
    if (*beyond)
        return damaged("a record was lost at position " + std::to_string(found.stop));
    return found;
}

// The units that records touch, as they will be.
using Overlay = std::map<MediaBlock, UnitBytes>;

// Applies the records in memory and verifies the outcome, so that damage is found before anything
// is written: a newest record that does not verify any more may have gone home already, and
// replaying those before it would put homes back that it had changed.
Result<Overlay> apply(const Found &found, const device::DeviceTable &devices,
                      const Geometry &geometry) {
    Overlay overlay;
    for (const auto &record : found.records)
        DAXPIN_TRY(for_each_outcome(
            record.bytes,
            [&](MediaBlock block, std::uint64_t offset,
                std::span<const std::byte> bytes) -> Result<void> {
                if (block.device() != 0 || !geometry.may_be_unit(block.block()))
                    return damaged("a record names a block that holds no metadata");
                const auto [unit, fresh] = overlay.try_emplace(block);
                if (fresh)
                    DAXPIN_TRY(devices.read(block, 0, unit->second));
                std::ranges::copy(bytes, unit->second.begin() + static_cast<long>(offset));
                return {};
            }));
    for (const auto &[block, unit] : overlay)
        if (!is_intact(unit))
            return damaged("metadata block " + std::to_string(block.block()) +
                           " would have a wrong checksum");
    return overlay;
}

Result<void> replay(const Found &found, const device::DeviceTable &devices,
                    RecoveryReport &report) {
    for (const auto &record : found.records) {
        DAXPIN_TRY(for_each_outcome(record.bytes,
                                    [&](MediaBlock block, std::uint64_t offset,
                                        std::span<const std::byte> bytes) -> Result<void> {
                                        DAXPIN_TRY(devices.copy(block, offset, bytes,
                                                                device::StoreKind::cached));
                                        devices.flush(block, offset, bytes.size());
                                        report.bytes_replayed += bytes.size();
                                        return {};
                                    }));
        ++report.records_replayed;
    }
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
    DAXPIN_TRY_ASSIGN(const auto overlay, apply(found, devices_, geometry_));
    durable_tail_ = cells.ruling.tail;
    head_ = found.stop;
    cell_counter_ = cells.ruling.counter;
    if (writing == Writing::nothing) {
        if (!found.records.empty())
            return Error{Errc::read_only,
                         "the journal must be replayed and nothing may be written: "
                         "mount it once writable"};
        return {};
    }
    const bool orderly = found.records.empty() && cells.both_agree;
    if (writing == Writing::recovery && orderly)
        return {};
    if (!cells.both_agree) {
        DAXPIN_TRY(write_tail_cell_copies(devices_, geometry_, cells.ruling));
        report_.tail_cell_restored = true;
    }
    DAXPIN_TRY(replay(found, devices_, report_));
    for (const auto &[block, unit] : overlay)
        units_.set_verified(block, true);
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
