// SPDX-License-Identifier: BSD-3-Clause
//
// Journal: the ring of records, its tail, checkpoint and recovery.
//
// A record holds outcomes: bytes at addresses. It is durable before the next one begins; homes
// are written after it with ordinary stores; the checkpointer flushes homes and moves the tail.
// Sequences are 64-bit byte positions that never restart. Sees bytes only, never calls up.
//
// Thread-safe. Crash rule: recovery replays every record from the tail to the first that does
// not verify. Layout: docs/format.md, "Journal". Reasons: docs/design/0001-one-commit-path.md.
#pragma once

#include "base/checksum.h"
#include "base/env.h"
#include "base/sync.h"
#include "device/device_table.h"
#include "journal/homes.h"
#include "journal/units.h"

#include <list>

namespace daxpin::journal {

using Sequence = std::uint64_t;

struct Geometry {
    std::uint64_t block_count = 0; // of device 0
    std::uint64_t ring_start = 0;  // block on device 0
    std::uint64_t ring_blocks = 0;
    std::uint64_t tail_cell_a = 0; // blocks on device 0
    std::uint64_t tail_cell_b = 0;
    // True if the block holds something that records may change: neither of the above, nor a label.
    bool may_be_unit(std::uint64_t block) const;
    std::uint64_t ring_bytes() const { return ring_blocks * block_size; }
    // The longest record, header included.
    std::uint64_t record_bytes_max() const { return ring_bytes() / 8; }
};
Geometry geometry_of(const format::Superblock &superblock);

// What opening a journal may write.
enum class Writing {
    nothing,    // and there must be nothing to replay
    recovery,   // what a crash made necessary; an orderly volume is left as it is
    everything, // records will follow
};

struct RecoveryReport {
    std::uint64_t records_replayed = 0;
    bool tail_cell_restored = false;
};

class Journal {
  public:
    // Writes both tail cells, durably: an empty ring whose first sequence is `start`.
    static Result<void> format(device::DeviceTable &devices, const Geometry &geometry, Env &env,
                               Sequence start = 0);

    // Recovers: verifies, replays, drains homes, then installs a new epoch.
    // ERRORS: corrupt if a record is damaged (nothing was written then); unsupported if there is
    // one of an unknown type; read_only; io.
    static Result<std::unique_ptr<Journal>> open(device::DeviceTable &devices,
                                                 const Geometry &geometry, Env &env,
                                                 Writing writing = Writing::everything);
    ~Journal();

    // Installs a new epoch, by which no record that is in the ring already counts, unless this
    // mount has one. REQUIRES: before the first append(), every record home. ERRORS: io.
    Result<void> begin_epoch();

    const RecoveryReport &report() const { return report_; }
    const Geometry &geometry() const { return geometry_; }
    device::DeviceTable &devices() { return devices_; }
    Units &units() { return units_; }

    // Flushes the homes of finished records and moves the tail over them. Any thread, any time,
    // but not between append() and home_written() of the same thread.
    // ERRORS: io, and the journal has failed; std::bad_alloc, and nothing has happened.
    Result<void> checkpoint();

    // Every record before this sequence is home, durably, in both tail cells.
    Sequence durable_tail() const { return durable_tail_.load(std::memory_order_acquire); }
    Sequence head() const { return head_.load(std::memory_order_acquire); }
    // True if more than half of the ring is in use: time for checkpoint().
    bool wants_checkpoint() const;

    // After a failed drain or media error nothing more may be written.
    bool failed() const { return failed_.load(std::memory_order_acquire); }
    void fail() { failed_.store(true, std::memory_order_release); }

    // --- for Transaction ---
    // A record that is durable and may not be home.
    struct Unfinished {
        Sequence sequence;
        Sequence previous_end;       // where the record before ends
        std::uint64_t homes_end = 0; // how many homes it and all before it have
        std::atomic<bool> is_home{false};
    };
    // Makes room for a record of `length` bytes (checkpoints if the ring is full). The room
    // counts as used until append() or unreserve(); if append() fails, for good, as the journal
    // has.
    Result<void> reserve(std::uint64_t length);
    void unreserve(std::uint64_t length);
    // Writes the record (header space first; header is filled in here) and makes it durable.
    // The tail stays before it until home_written(). REQUIRES: reserve(record.size()).
    Result<Unfinished *> append(std::span<std::byte> record, std::uint32_t entry_count);
    static void home_written(Unfinished &record); // which may be gone from then on

    // Held by the one transaction that runs again after Errc::retry: below inode locks, above
    // units.
    Mutex &retry_mutex() { return retry_mutex_; }

  private:
    Journal(device::DeviceTable &devices, const Geometry &geometry, Env &env);

    Result<void>
    recover(Writing writing) NO_THREAD_SAFETY_ANALYSIS; // no other thread has the journal yet
    Result<void> write_tail_cells(Sequence tail) REQUIRES(checkpoint_mutex_);
    // Makes both copies the ruling one.
    Result<void> restore_tail_cells() REQUIRES(checkpoint_mutex_);
    // Takes the oldest records off, up to the first that is not home.
    void take_finished(std::list<Unfinished> &finished) REQUIRES(append_mutex_);

    device::DeviceTable &devices_;
    const Geometry geometry_;
    Env &env_;
    Units units_;
    RecoveryReport report_;
    std::atomic<Sequence> durable_tail_{0};
    std::atomic<bool> failed_{false};

    // Apart from what is read more often than it changes.
    alignas(64) Mutex append_mutex_; // order of records; held over the record's drain
    std::atomic<Sequence> head_{0};  // stored under append_mutex_
    // In order. What is home leaves at the next append() or checkpoint(): saying so takes no lock.
    std::list<Unfinished> unfinished_ GUARDED_BY(append_mutex_);
    // Those of records that no checkpoint has passed, in order. What a failed append has left there
    // counts as the next record's.
    Homes homes_ GUARDED_BY(append_mutex_);
    std::uint64_t homes_taken_ GUARDED_BY(append_mutex_) = 0;    // so many were there before
    std::uint64_t homes_finished_ GUARDED_BY(append_mutex_) = 0; // of records off unfinished_
    // What head() would be if every reserved record took all its room.
    alignas(64) std::atomic<Sequence> claimed_{0};

    alignas(64) Mutex retry_mutex_;
    Mutex checkpoint_mutex_; // one checkpoint at a time; taken before append_mutex_
    HashKey epoch_{};        // fixed from begin_epoch() to unmount
    bool epoch_is_new_ GUARDED_BY(checkpoint_mutex_) = false;
    std::uint64_t cell_counter_ GUARDED_BY(checkpoint_mutex_) = 0;
    bool cells_agree_ GUARDED_BY(checkpoint_mutex_) = true; // both copies are the ruling one
};

} // namespace daxpin::journal
