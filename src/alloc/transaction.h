// SPDX-License-Identifier: BSD-3-Clause
//
// alloc::Transaction: a journal transaction that can allocate and free blocks. This is the
// transaction that every layer above takes.
//
// Blocks are promised in DRAM at once; their bitmap bits change in the record. Dropped without
// commit(), promises return. Errc::retry as in journal/transaction.h.
#pragma once

#include "alloc/allocator.h"
#include "journal/transaction.h"

#include <array>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace daxpin::alloc {

struct Pool;
struct Waiting;

class Transaction {
  public:
    explicit Transaction(Allocator &allocator, Purpose purpose = Purpose::ordinary,
                         Reservation *reservation = nullptr);
    ~Transaction();
    Transaction(const Transaction &) = delete;
    Transaction &operator=(const Transaction &) = delete;

    // Units: see journal/transaction.h.
    journal::Transaction &units() { return units_; }

    // A leaf of the tree that this transaction edits, and which keys lead to it: from lower on,
    // below upper if there is one. So it stays while the leaf is locked, but for what the
    // transaction does to the tree's shape itself: btree/ forgets its leaves then.
    struct KnownLeaf {
        using Key = std::array<std::uint64_t, 2>; // inode, place
        MediaBlock unit;
        Key lower;
        std::optional<Key> upper;
    };
    std::vector<KnownLeaf> &known_leaves() { return known_leaves_; }

    // One block for metadata. ERRORS: no_space; retry if blocks may come back by waiting.
    Result<MediaBlock> allocate_unit();
    void free_unit(MediaBlock unit); // a listed bad block stays the list's

    // As allocate_data(), but all of the run holds zeros, durably; an empty one if no such run is
    // known that would do.
    Result<MediaRun> allocate_zeroed(const DataRequest &request);

    // A run of blocks for file data, not zeroed; possibly shorter than asked.
    // ERRORS: no_space; retry if blocks may come back by waiting.
    Result<MediaRun> allocate_data(const DataRequest &request);

    // Frees data blocks.
    // REQUIRES: none of them is a listed bad block; if one becomes listed meanwhile the
    // transaction starts again.
    void free_data(MediaRun run);

    // The body enters `block` into the list of bad blocks: from this record on its bit is set,
    // whoever owns it. True if nobody does, or will. commit() fails with busy while somebody is
    // about to own it or has just freed it: try again later.
    bool list_bad(MediaBlock block);
    // The body takes `block`, which nobody owns, off the list: it is free again.
    void unlist_bad(MediaBlock block);

    // Adds the bitmap changes and commits.
    // What goes wrong is found before the record, or the journal has failed. ERRORS: as
    // journal::Transaction::commit().
    Result<void> commit();

    // After Errc::retry: gives everything back and waits for what was in the way.
    // ERRORS: no_space if blocks were in the way and none came back; as Journal::checkpoint().
    Result<void> restart();

  private:
    friend class Allocator;
    struct Freed {
        MediaRun run;
        bool metadata;
    };
    enum class Bit { set, clear, stays_set };
    struct BitmapChange {
        MediaRun run;
        Bit bit;
    };
    struct ChunkChange {
        MediaBlock chunk;
        unsigned device;
        std::uint64_t first; // block of the device that the chunk's first bit stands for
        BitmapChange change;
    };
    void promise(Pool &pool, MediaRun run);
    // Blocks of the pool that this transaction may take now.
    std::uint64_t allowance(std::uint64_t free, std::uint64_t reserved,
                            std::uint64_t reserve) const;
    std::uint64_t data_allowance(const Pool &pool) const;
    void draw(Pool &pool, BlockCount count);
    Errc out_of_space(const Pool &pool, std::uint64_t returned);
    Result<void> check_listing(const BitmapChange &change);
    void settle_listing(bool committed);
    Result<void> load_groups(MediaRun run);
    std::vector<ChunkChange> chunk_changes() const;
    Result<void> stage_bitmaps();
    static std::optional<std::uint64_t> change_bits(std::byte *bitmap, std::uint64_t from,
                                                    std::uint64_t to, Bit bit);
    Result<void> stage_chunk(std::span<const ChunkChange> changes); // all of one chunk
    void settle(journal::Sequence sequence, std::list<Waiting> freed) noexcept;
    void abort();

    Allocator &allocator_;
    journal::Transaction units_;
    Purpose purpose_;
    Reservation *reservation_;
    std::uint64_t drawn_ = 0; // blocks that came out of it
    std::vector<KnownLeaf> known_leaves_;
    bool starved_ = false;            // the retry was for blocks, not for a unit lock
    std::uint64_t returned_seen_ = 0; // then: Allocator::State::returned
    std::vector<MediaRun> allocated_; // data and units alike
    std::vector<Freed> freed_;
    std::vector<MediaBlock> listing_;  // by list_bad(), owned by somebody
    std::vector<MediaBlock> marked_;   // of these, shown as listed before the record is durable
    std::vector<MediaBlock> unlisted_; // by unlist_bad(), in freed_ too
};

// Runs `body(tx)` and commits until it does not ask for a retry. The body starts from scratch
// each time: it may change DRAM state that others see only after commit, or not at all. A body
// that came upon a bad block nobody knew of runs again: with luck the block was a free one.
template <typename Body> auto transact(Allocator &allocator, Purpose purpose, Body &&body,
                                       Reservation *reservation = nullptr)
    -> decltype(body(std::declval<Transaction &>())) {
    Transaction tx(allocator, purpose, reservation);
    for (;;) {
        const auto bad_known = allocator.bad_blocks().version();
        const auto again = [&](Errc code) {
            return code == Errc::retry || (code == Errc::io && !allocator.journal().failed() &&
                                           allocator.bad_blocks().version() != bad_known);
        };
        auto result = body(tx);
        if (result) {
            auto committed = tx.commit();
            if (committed)
                return result;
            if (!again(committed.code()))
                return std::move(committed).error();
        } else if (!again(result.code())) {
            return result;
        }
        DAXPIN_TRY(tx.restart());
    }
}

} // namespace daxpin::alloc
