// SPDX-License-Identifier: BSD-3-Clause
//
// Allocator::State: the DRAM side of the allocator, private to alloc/.
#pragma once

#include "alloc/allocator.h"
#include "alloc/group.h"
#include "alloc/zeroed_set.h"

#include <list>

namespace daxpin::alloc {

// Blocks that share one reserve: the metadata device's, the data devices' together. One pool
// does both on a volume of one device.
struct Pool {
    std::uint64_t total = 0;    // blocks
    std::uint64_t clear = 0;    // clear bits on media, and not promised
    std::uint64_t free = 0;     // of these, not waiting for reuse
    std::uint64_t reserved = 0; // set aside by Reservations
    std::uint64_t reserve = 0;  // see Purpose
    std::uint64_t waiting = 0;  // freed, or being zeroed; reusable after a while
};

struct DeviceSpace {
    std::uint64_t block_count = 0;
    std::uint64_t mapping_unit = 0;             // bytes
    std::vector<std::unique_ptr<Group>> groups; // null until first used
    std::vector<std::uint32_t> clear_counts;    // from the chunks' headers; 0 if one is damaged
    std::size_t hole_cursor = 0;                // group where the last search for a hole succeeded
    std::size_t unit_cursor = 0;                // the same for whole mapping units
    std::uint64_t free_units = 0;               // of the groups that were used
    std::size_t unseen_groups = 0;              // not used yet, and with as many free blocks
    Pool *pool = nullptr;
    bool holds_data = false;

    // Known without a look at the groups, of which an aged volume has thousands.
    bool has_no_free_unit() const { return free_units == 0 && unseen_groups == 0; }
    // The same, of a group that was not used yet, or whose chunk is damaged.
    bool is_known_full(std::size_t index) const {
        return !groups[index] && clear_counts[index] == 0;
    }
};

// A freed run on its way back.
struct Waiting {
    MediaRun run;
    journal::Sequence tail_needed = 0; // metadata: the durable tail that allows reuse; data: 0
    Grace::Ticket ticket = 0;
};

struct Allocator::State {
    State(journal::Journal &owner) : journal(owner) {}

    journal::Journal &journal;
    Grace grace;
    mutable Mutex mutex; // taken while holding tree units; bitmap chunks are locked inside it
    std::vector<DeviceSpace> devices GUARDED_BY(mutex);
    std::vector<std::uint64_t> bitmap_starts; // of the devices, blocks of the first; fixed at open
    std::optional<Error> damage GUARDED_BY(mutex); // of a chunk, met by add_device()
    Pool metadata_pool GUARDED_BY(mutex);
    Pool separate_data_pool GUARDED_BY(mutex);
    Pool *data_pool GUARDED_BY(mutex) = nullptr; // one of the two above
    std::list<Waiting> waiting_data GUARDED_BY(mutex);
    std::list<Waiting> waiting_metadata GUARDED_BY(mutex);
    std::uint64_t bad_seen GUARDED_BY(mutex) = 0; // BadBlocks::version() of the last look
    std::uint64_t returned GUARDED_BY(mutex) = 0; // how often blocks became free
    ZeroedSet zeroed GUARDED_BY(mutex);           // all of its blocks are free
    unsigned zeroing GUARDED_BY(mutex) = 0;       // pieces that are being zeroed
    CondVar zeroing_ended;
    MediaBlock zero_from GUARDED_BY(mutex){}; // where to look on; 0 between two passes
    // `returned` when the pass began: without anything new there is none to begin.
    std::optional<std::uint64_t> zero_seen GUARDED_BY(mutex);

    MediaBlock chunk_of(unsigned device, std::size_t group) const {
        return MediaBlock::at(0, bitmap_starts[device] + group);
    }
    Result<void> add_device(unsigned index, const format::DeviceEntry &entry, unsigned count)
        REQUIRES(mutex);
    // Reads a chunk into `bytes`; its header, checked.
    Result<format::BitmapHeader> load_chunk(unsigned device, std::size_t index, MediaBlock chunk,
                                            journal::UnitBytes &bytes);
    Result<Group *> group(unsigned device, std::size_t index) REQUIRES(mutex);
    bool returnable(const Waiting &entry) REQUIRES(mutex);
    bool reap() REQUIRES(mutex); // takes back what may be reused; true if anything was
    // Bad blocks whose bit is clear are withdrawn: busy in DRAM, so that nobody gets them, until
    // Transaction::list_bad() sets the bit.
    void give_back(MediaRun run) REQUIRES(mutex); // takes no memory
    void make_free(MediaRun run) REQUIRES(mutex);
    void withdraw_bad() REQUIRES(mutex); // takes what turned out bad from what is free

    // --- prezero.cc ---
    // Takes a piece of free space that is not known to be zero; empty if the search did not get
    // to one, in which case `more` says whether to go on.
    struct Unzeroed {
        MediaRun run;
        bool more = false;
    };
    Result<Unzeroed> take_unzeroed() REQUIRES(mutex);
    Result<MediaRun> take_unzeroed_from(MediaBlock from) REQUIRES(mutex);
    MediaRun find_zeroed(const DataRequest &request, std::uint64_t limit) const REQUIRES(mutex);

    // --- search.cc: each takes what it finds; an empty run means nothing found ---
    Result<Group *> searched_group(unsigned device, std::size_t index) REQUIRES(mutex);
    Result<MediaRun> take_data(const DataRequest &request, std::uint64_t limit) REQUIRES(mutex);
    Result<MediaRun> take_unit() REQUIRES(mutex);
    Result<MediaRun> take(unsigned device, std::uint64_t start, std::uint64_t count)
        REQUIRES(mutex);
    // As many whole pieces of `align` blocks as are free from there on.
    Result<MediaRun> take_whole(unsigned device, std::uint64_t start, std::uint64_t align,
                                std::uint64_t wanted) REQUIRES(mutex);
    Result<MediaRun> take_near(MediaBlock goal, std::uint64_t align, std::uint64_t wanted)
        REQUIRES(mutex);
    Result<MediaRun> take_small(unsigned device, std::uint64_t wanted) REQUIRES(mutex);
    Result<MediaRun> take_long(unsigned device, std::uint64_t wanted) REQUIRES(mutex);
    // In another group than the file's that was to go on at `goal`, if that can be.
    Result<MediaRun> take_apart(unsigned device, std::uint64_t wanted, MediaBlock goal)
        REQUIRES(mutex);
    Result<MediaRun> take_from_free_unit(unsigned device, std::uint64_t wanted) REQUIRES(mutex);
    Result<MediaRun> take_unit_of(unsigned device, std::size_t group, std::uint64_t wanted,
                                  bool spare_zeroed) REQUIRES(mutex);
    Result<MediaRun> take_filling(unsigned device, std::uint64_t wanted) REQUIRES(mutex);
    static bool may_hold(const DeviceSpace &space, std::size_t group, std::uint64_t align);
    Result<MediaRun> take_aligned(unsigned device, std::uint64_t align, std::uint64_t wanted)
        REQUIRES(mutex);
    std::optional<std::uint32_t> find_free_unit(const Group &group, MediaBlock first,
                                                bool spare_zeroed) const REQUIRES(mutex);
    Result<std::uint64_t> free_length(unsigned device, std::uint64_t start, std::uint64_t limit)
        REQUIRES(mutex);
};

} // namespace daxpin::alloc
