// SPDX-License-Identifier: BSD-3-Clause
//
// Allocator: which blocks are in use, on every device.
//
// Media holds one bitmap chunk per 32256 blocks (docs/format.md, "Bitmap chunk"), all on device
// 0. DRAM holds, per group touched, the same bits plus blocks promised to running transactions
// and blocks freed but not yet reusable. Whole mapping units are kept for aligned requests;
// everything else fills holes first. What prezero_step() zeroed is kept for requests of zeros
// (Transaction::allocate_zeroed()), as far as there is a choice.
//
// Thread-safe. Crash rule: bits change only through a transaction's record. A freed block is
// handed out again only after the record that freed it is durable (metadata: after the durable
// tail has passed it) and every Grace guard from before is gone.
#pragma once

#include "alloc/grace.h"
#include "base/sync.h"
#include "journal/journal.h"

#include <memory>
#include <optional>
#include <vector>

namespace daxpin::alloc {

class Transaction;

// Who may dip into the reserve that keeps unlink and truncate from failing: what gives back more
// than it takes, into all of it; what may go on taking (a rename, a hole), into half.
enum class Purpose { ordinary, rearrange, release };

struct Space {
    std::uint64_t total_blocks = 0;     // of devices that hold data
    std::uint64_t free_blocks = 0;      // clear bits there, and not promised (statfs f_bfree)
    std::uint64_t available_blocks = 0; // less the reserve (f_bavail)
};

struct DataRequest {
    BlockCount count;              // wanted; the run returned may be shorter, never empty
    std::uint64_t align_bytes = 0; // > 4096: the run starts so aligned and is a multiple of it
    MediaBlock goal{};             // near here, if not zero: e.g. the end of the last extent
    bool grows = false;            // likely to get more: if the goal is taken, another group
};

// Blocks for data set aside in DRAM so that a sequence of steps cannot run out of them half way.
// Metadata it may lack all the same.
class [[nodiscard]] Reservation {
  public:
    Reservation() = default;
    Reservation(Reservation &&) noexcept;
    Reservation &operator=(Reservation &&) noexcept;
    ~Reservation();

  private:
    friend class Allocator;
    friend class Transaction;
    class Allocator *allocator_ = nullptr;
    std::uint64_t data_blocks_ = 0;
};

class Allocator {
  public:
    // Groups that cover `block_count` blocks.
    static std::uint32_t group_count(std::uint64_t block_count);

    // Writes every bitmap chunk, all free but `in_use`. Durable with the next drain.
    static Result<void> format(device::DeviceTable &devices, const format::Superblock &superblock,
                               const std::vector<MediaRun> &in_use);

    // Verifies the chunks and reads their free counts. ERRORS: io; corrupt if the superblock's
    // numbers cannot be. A chunk that is damaged is no error: see damage().
    static Result<std::unique_ptr<Allocator>> open(journal::Journal &journal,
                                                   const format::Superblock &superblock);
    ~Allocator();

    // What open() met: a bitmap chunk that is damaged, of which nothing is used.
    std::optional<Error> damage() const;
    Space space() const;
    Grace &grace();
    journal::Journal &journal();

    // Sets data blocks aside. ERRORS: no_space; as Journal::checkpoint().
    Result<Reservation> reserve(BlockCount data_blocks);

    // Zeroes a piece of free space that is not known to be zero. True if there may be more of it.
    // For times when nobody asks for anything; nobody gets the piece meanwhile.
    // ERRORS: io, with the journal failed if zeroes could not be made durable; corrupt.
    Result<bool> prezero_step();
    // Free blocks that are known to be zero.
    BlockCount prezeroed() const;

    // Blocks that cannot be read; none of them is ever handed out.
    device::BadBlocks &bad_blocks() const;

  private:
    friend class Transaction;
    friend class Reservation;
    struct State;
    explicit Allocator(std::unique_ptr<State> state);
    // Makes what can be made reusable so (checkpoint, grace, the end of zeroing) until a block has
    // come back since State::returned was `seen`. ERRORS: no_space if none will; as checkpoint().
    Result<void> reclaim(std::uint64_t seen);
    Result<void> store_zeros(MediaRun run);
    std::unique_ptr<State> state_;
};

} // namespace daxpin::alloc
