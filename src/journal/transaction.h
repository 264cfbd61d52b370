// SPDX-License-Identifier: BSD-3-Clause
//
// Transaction: units changed together, or not at all.
//
// edit() gives a copy of a unit in DRAM to change; commit() compares each copy with the media,
// writes what differs as one record, and after that is durable writes it home. So a record names
// every byte that changes, by construction; where edit_marked() gave the copy, if its user says
// which lines to compare, which builds with debug information check. Units are locked exclusively
// from edit() to the end of their home writes. Dropped without commit(), a transaction leaves no
// trace.
//
// One thread. Errc::retry from any call: another transaction holds a unit; the caller gives up
// the transaction, calls await_retry() and starts again.
#pragma once

#include "base/checksum_change.h"
#include "journal/journal.h"

#include <memory>
#include <optional>
#include <vector>

namespace daxpin::journal {

class Transaction {
  public:
    explicit Transaction(Journal &journal) : journal_(journal) {}
    ~Transaction();
    Transaction(const Transaction &) = delete;
    Transaction &operator=(const Transaction &) = delete;

    // The unit's bytes, to be changed in place; the first four (checksum) are commit()'s.
    // Valid until the transaction ends. ERRORS: retry, io, corrupt.
    Result<std::byte *> edit(MediaBlock unit);

    // As edit(), but only lines that mark() names are compared, and summed: the rest, and the
    // checksum, is as it was loaded and verified. Null, and the unit is unlocked, unless
    // is_wanted() says so once it is locked.
    template <typename Condition>
    Result<std::byte *> edit_marked(MediaBlock unit, const Condition &is_wanted) {
        if (auto *bytes = find(unit))
            return bytes;
        DAXPIN_TRY_ASSIGN(auto shadow, lock_for(unit));
        if (is_wanted())
            return load_locked(std::move(shadow));
        journal_.units().unlock(unit);
        return nullptr;
    }

    // Lines of a unit that may have changed: lines_of(). REQUIRES: the transaction has the unit.
    void mark(MediaBlock unit, std::uint64_t lines);

    // As edit_marked(), but waits as long as it takes. REQUIRES: every unit so taken stands behind
    // all others of this transaction in the lock order (docs/locking.md): bitmap chunks, ascending.
    Result<std::byte *> edit_ordered(MediaBlock unit);

    // Reading with this transaction's rules: a bounded wait, then Errc::retry.
    Result<void> lock_shared(MediaBlock unit);

    // After Errc::retry: waits a bounded time for the unit that caused it, locks held. False if it
    // did not become free.
    bool await_contended() { return journal_.units().is_free_soon(contended_); }

    // The copy that edit() or create() made, or null.
    std::byte *find(MediaBlock unit);

    // A new unit in a block that nothing reachable names: written whole and durable before the
    // record. Zeroed. ERRORS: corrupt if the transaction has the block already: somebody names it.
    Result<std::byte *> create(MediaBlock unit);

    // Drops the copy: the block is being freed, its content is of no interest.
    void discard(MediaBlock unit);

    // Says, before the first such store, that this thread stores data or blob blocks: they are
    // drained before the record, or when the transaction is given up.
    void stores_data() { drain_first_ = true; }

    // Whether the changes so far would take more than so many bytes of ring, roughly.
    bool exceeds(std::uint64_t budget);

    bool empty() const { return shadows_.empty(); }

    // Returns the record's sequence, or that of the last record if nothing differed.
    // ERRORS: before the record is durable: no trace is left; io with the journal failed after.
    Result<Sequence> commit();

    void abort(); // releases everything
    // The same; then waits for the unit that caused Errc::retry. Transactions that run again do so
    // one at a time (Journal::retry_mutex()): two that took each other's units would go on doing
    // so.
    void await_retry();

    Journal &journal() { return journal_; }

  private:
    using Part = device::Device::Part;
    struct Shadow {
        MediaBlock unit;
        UnitBuffer bytes;
        bool fresh;              // create(): goes to media whole, before the record
        bool discarded = false;  // locked still, but not written
        std::uint64_t lines = 0; // that may differ from the media: mark()
        // By differences(): which of all parts are this unit's, and how they change its checksum,
        // unless all lines are marked.
        std::size_t first_part = 0;
        std::size_t part_count = 0;
        std::uint32_t checksum_change = 0;
        bool differs() const { return part_count > 0; }
        std::span<const Part> of(std::span<const Part> parts) const {
            return parts.subspan(first_part, part_count);
        }
    };

    Shadow make_shadow(MediaBlock unit, bool fresh);
    Result<Shadow> lock_for(MediaBlock unit); // within a bounded time
    Result<std::byte *> load_locked(Shadow shadow);
    Result<void> write_fresh_units();
    Result<void> drain_stores();
    Result<std::vector<Part>> differences(); // shadow by shadow
    void seal_differing();
    std::vector<std::byte> build_record(std::span<const Part> parts) const;
    Result<Sequence> append_and_write_home(std::span<const Part> parts);
    Result<void> write_homes(std::span<const Part> parts);
    void release_units();

    Journal &journal_;
    std::vector<Shadow> shadows_;
    MediaBlock contended_{};
    bool must_wait_ = false;
    std::optional<MutexLock> turn_; // of the journal's retry_mutex(), until the end
    bool drain_first_ = false;
};

} // namespace daxpin::journal
