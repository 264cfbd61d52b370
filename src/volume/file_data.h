// SPDX-License-Identifier: BSD-3-Clause
//
// What the operations on file data have in common: storing bytes in data blocks, zeroing in
// place, finding and allocating blocks. File data never goes through the journal.
//
// Unless said otherwise the caller holds begin_change() and the inode's lock exclusively, and
// stores go past the cache or are flushed, so that the next drain of this thread makes them
// durable: Transaction::units().stores_data() sees to that before the record.
#pragma once

#include "volume/engine.h"

namespace daxpin::volume {

using extent_map::Extent;
using immutable::BlockRange;

// The block that byte `offset` lies in.
constexpr FileBlock block_at(std::uint64_t offset) {
    return {offset / block_size};
}

// How much one transaction that allocates may do, so that its record stays below the limit.
struct GrowthLimit {
    std::size_t runs;     // extents added or converted
    std::uint64_t blocks; // their bits are in the record
};
GrowthLimit growth_limit(const Engine &engine);

// Stores into the blocks of `extent`; `offset` is a byte of the file that lies in it.
Result<void> store_data(Engine &engine, const Extent &extent, std::uint64_t offset,
                        std::span<const std::byte> data);
Result<void> store_zeros(Engine &engine, const Extent &extent, std::uint64_t offset,
                         std::uint64_t length);

// Zeroes what is written of bytes [from, to), in place; true if anything was stored.
Result<bool> zero_written(Engine &engine, CachedInode &inode, std::uint64_t from, std::uint64_t to);

// Stores `changed` as the inode's attributes, after what was stored as data, and publishes it.
Result<void> commit_attributes(Engine &engine, CachedInode &inode, const Attributes &changed,
                               alloc::Purpose purpose = alloc::Purpose::ordinary);

// Finishes an unfinished truncate: before the size grows or blocks beyond the end are allocated.
Result<void> finish_truncate(Engine &engine, CachedInode &inode);

// The smallest piece of blocks the file owns at its end: the mapping unit if it is pinned or
// leased, else a block. REQUIRES: engine.pins(inode) was asked before.
std::uint64_t owned_unit(const Engine &engine, const CachedInode &inode);

// The alignment that allocation should try for this file, in bytes.
std::uint64_t hinted_align(const Engine &engine, const Attributes &attributes);

// What new blocks should hold. Zeros are what they rather should; they do if the extent is not
// unwritten.
enum class Content { any, zeros };

// Blocks for the file from `first` on, possibly fewer than asked.
Result<Extent> allocate_run(Transaction &tx, FileBlock first, const alloc::DataRequest &request,
                            Content content);

// Blocks for a hole of a file.
struct Hole {
    FileBlock first; // first block wanted
    BlockCount count;
    std::uint64_t align = block_size; // of the file's and the media's offset alike, in bytes
    Content content = Content::any;
};

// Where the blocks for `first` would continue the file on media; zero if nothing precedes them.
Result<MediaBlock> goal_for(Engine &engine, CachedInode &inode, Transaction &tx, FileBlock first);

// Allocates blocks for the beginning of `hole`, near what precedes it. An aligned request takes
// whole pieces of `align` if nothing is allocated in them yet; then the run may begin before
// hole.first and end behind the hole. The map is not changed yet.
Result<Extent> allocate_hole(Engine &engine, CachedInode &inode, Transaction &tx, const Hole &hole);

// Enters a run of allocate_hole() into the map: [first, end) of it as `unwritten` says, what lies
// outside as unwritten; and counts it in attributes.block_count.
Result<void> insert_run(Engine &engine, Transaction &tx, Attributes &attributes, const Extent &run,
                        FileBlock first, FileBlock end, bool unwritten);

// What policy says to a write; its offset becomes the one it goes to.
// REQUIRES: inode locked exclusively.
Result<void> check_planned(Engine &engine, CachedInode &inode, PlannedWrite &write);

// Writes `data` at `offset`, which policy has allowed. Atomic in steps; the number of bytes is
// less than asked only if a step failed behind others that are done.
Result<std::uint64_t> write_locked(Engine &engine, CachedInode &inode, std::uint64_t offset,
                                   std::span<const std::byte> data,
                                   alloc::Reservation *reservation = nullptr);

// Updates atime if the mount options and the file ask for it; what cannot be stored is dropped.
// True if it was updated. REQUIRES: no lock held.
bool access_file(Engine &engine, CachedInode &inode);
// The same where the kernel does not expect it, as it does of READ and READDIR: tells it.
void access_file_unexpectedly(Engine &engine, CachedInode &inode);

// The open file, or null. REQUIRES: inode locked, shared at least.
const OpenFile *find_handle(const CachedInode &inode, Handle handle);

// The open file must exist and be open for writing; handle 0 (nobody's) is allowed.
Result<void> check_writer(const CachedInode &inode, Handle handle);

} // namespace daxpin::volume
