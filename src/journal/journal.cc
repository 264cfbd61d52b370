// SPDX-License-Identifier: BSD-3-Clause
#include "journal/journal.h"

#include "base/assert.h"
#include "journal/ring.h"
#include "journal/tail_cell.h"

namespace daxpin::journal {

Geometry geometry_of(const format::Superblock &superblock) {
    return {superblock.devices[0].block_count, superblock.ring_start, superblock.ring_blocks,
            superblock.tail_cell_a, superblock.tail_cell_b};
}

bool Geometry::may_be_unit(std::uint64_t block) const {
    const bool in_ring = block >= ring_start && block < ring_start + ring_blocks;
    return block > 0 && block + 1 < block_count && !in_ring && block != tail_cell_a &&
           block != tail_cell_b;
}

Journal::Journal(device::DeviceTable &devices, const Geometry &geometry, Env &env)
    : devices_(devices), geometry_(geometry), env_(env), units_(devices) {}

Journal::~Journal() = default;

Result<void> Journal::format(device::DeviceTable &devices, const Geometry &geometry, Env &env,
                             Sequence start) {
    DAXPIN_ASSERT(start % format::record_align == 0);
    TailState state{.counter = 1, .tail = start, .epoch = {}};
    env.random(state.epoch);
    return write_tail_cell_copies(devices, geometry, state);
}

bool Journal::wants_checkpoint() const {
    const Sequence tail = durable_tail(); // first: the head is never before it
    return head() - tail > geometry_.ring_bytes() / 2;
}

Result<void> Journal::reserve(std::uint64_t length) {
    if (length > geometry_.record_bytes_max())
        return Error{Errc::too_big, "the change does not fit a journal record"};
    for (;;) {
        may_interleave();
        if (failed())
            return Errc::io;
        // Twice the length: the wrap may waste as much as the record takes.
        auto claimed = claimed_.load(std::memory_order_relaxed);
        while (claimed + 2 * length <= durable_tail() + geometry_.ring_bytes())
            if (claimed_.compare_exchange_weak(claimed, claimed + 2 * length,
                                               std::memory_order_relaxed))
                return {};
        DAXPIN_TRY(checkpoint());
    }
}

void Journal::unreserve(std::uint64_t length) {
    const Sequence seen = head();
    const Sequence before = claimed_.fetch_sub(2 * length, std::memory_order_relaxed);
    DAXPIN_ASSERT(before >= seen + 2 * length);
}

void Journal::home_written(Unfinished &record) {
    may_interleave();
    record.is_home.store(true, std::memory_order_release);
}

void Journal::take_finished(std::list<Unfinished> &finished) {
    auto end = unfinished_.begin();
    for (; end != unfinished_.end() && end->is_home.load(std::memory_order_acquire); ++end)
        homes_finished_ = end->homes_end;
    finished.splice(finished.end(), unfinished_, unfinished_.begin(), end);
}

Result<Journal::Unfinished *> Journal::append(std::span<std::byte> record,
                                              std::uint32_t entry_count) {
    const Ring ring(devices_, geometry_, epoch_);
    std::list<Unfinished> entry(1); // memory comes first: once the record is durable nothing fails
    std::list<Unfinished> finished; // freed without the lock
    seal_payload(record, entry_count);
    MutexLock lock(append_mutex_);
    if (failed())
        return Errc::io;
    take_finished(finished);
    add_homes(record, homes_);
    entry.front().homes_end = homes_taken_ + homes_.size();
    const Sequence previous_end = head();
    const auto position = ring.place(previous_end, record.size());
    DAXPIN_ASSERT(position + record.size() - durable_tail() <= geometry_.ring_bytes());
    seal_record(record, position, previous_end, epoch_);
    auto stored = devices_.copy(ring.block_of(position), ring.seat(position) % block_size, record,
                                device::StoreKind::nontemporal);
    if (stored)
        stored = devices_.metadata().drain();
    if (!stored) {
        fail();
        return std::move(stored).error();
    }
    const Sequence end = position + record.size();
    entry.front().sequence = position;
    entry.front().previous_end = previous_end;
    unfinished_.splice(unfinished_.end(), entry);
    head_.store(end, std::memory_order_release);
    const Sequence before =
        claimed_.fetch_sub(2 * record.size() - (end - previous_end), std::memory_order_relaxed);
    DAXPIN_ASSERT(before >= previous_end + 2 * record.size());
    return &unfinished_.back();
}

Result<void> Journal::checkpoint() {
    MutexLock one_at_a_time(checkpoint_mutex_);
    if (failed())
        return Errc::io;
    std::list<Unfinished> finished;
    Homes written;
    Sequence target;
    {
        MutexLock lock(append_mutex_);
        take_finished(finished);
        target = unfinished_.empty() ? head() : unfinished_.front().previous_end;
        if (target == durable_tail())
            return {};
        written = take_homes(homes_, homes_finished_ - homes_taken_);
        homes_taken_ = homes_finished_;
    }
    flush_homes(devices_, written);
    auto moved = devices_.metadata().drain();
    if (moved)
        moved = write_tail_cells(target);
    if (!moved) {
        fail();
        return moved;
    }
    durable_tail_.store(target, std::memory_order_release);
    return {};
}

Result<void> Journal::write_tail_cells(Sequence tail) {
    return write_tail_cell_copies(devices_, geometry_, {++cell_counter_, tail, epoch_});
}

} // namespace daxpin::journal
