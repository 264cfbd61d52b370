// SPDX-License-Identifier: BSD-3-Clause
//
// Policy: may this caller do this to this file's mapping? The errno contract of
// docs/pinning.md, row by row, without side effects. volume/ asks under the inode's lock and
// keeps it to the end of the transaction.
#pragma once

#include "immutable/leases.h"
#include "immutable/pin_table.h"

namespace daxpin::immutable {

// What the policy looks at; gathered by volume/ under the inode's lock.
struct FileState {
    bool regular = true;
    std::uint32_t link_count = 1;
    std::uint64_t size = 0;                  // bytes
    std::uint64_t mapping_unit = block_size; // bytes; pins and leases cover whole ones
    bool immutable_flag = false;             // chattr +i
    bool append_flag = false;                // chattr +a
    bool pinned_whole = false;
    bool any_pin = false;
    bool read_only_mount = false;
};

struct PinCaller {
    bool may_pin = false;     // owner or capable, as the mount option says
    bool writable = true;     // the descriptor; true for requests by attribute
    std::uint64_t handle = 0; // 0 = none
};

// A range as the client gave it, in bytes; (0, 0) is the whole file.
struct ByteRange {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    bool whole() const { return offset == 0 && length == 0; }
};

// No file is longer than this.
inline constexpr std::uint64_t file_size_max = (std::uint64_t{1} << 63) - 1;

// Bytes [offset, offset + length) rounded out to whole `unit`s, in blocks.
// REQUIRES: length > 0; unit is a power of two >= block_size.
BlockRange blocks_of(std::uint64_t offset, std::uint64_t length, std::uint64_t unit = block_size);

// The first block that a file of `size` bytes does not own, with `unit` the smallest piece it
// owns: block_size, or the mapping unit for a pinned or leased file.
FileBlock end_of(std::uint64_t size, std::uint64_t unit = block_size);

// Checks a PIN or UNPIN request and turns its range into blocks, rounded out to mapping units.
// A range may end anywhere in the file's last block.
// ERRORS in this order: read_only, bad_handle, invalid, not_permitted.
Result<BlockRange> check_pin_request(const FileState &file, const PinCaller &caller,
                                     ByteRange range, std::uint64_t align);

// EXTEND to `new_size`; the same size is allowed and changes nothing.
// ERRORS in this order: read_only, bad_handle, invalid (not pinned, or shorter), not_permitted;
// file_too_big.
Result<void> check_extend_request(const FileState &file, const PinCaller &caller,
                                  std::uint64_t new_size);

// Opening the file. +i: for writing only if it is pinned (for the sake of a write lease); +a:
// for writing only to append. Truncation is asked about separately. ERRORS: not_permitted.
Result<void> check_open(const FileState &file, bool write, bool append, bool truncate);

// write(2) of [offset, offset + length), already at the end of file if `append`. In place is
// always allowed. ERRORS: not_permitted (+i; +a without `append`), pinned (the size of a wholly
// pinned file), file_too_big.
Result<void> check_write(const FileState &file, std::uint64_t offset, std::uint64_t length,
                         bool append);

// Changing the map of `range` (punch, zero, allocation where nothing is allocated yet).
// ERRORS: not_permitted (+i), pinned.
Result<void> check_map_change(const FileState &file, const std::vector<BlockRange> &pins,
                              const Leases &leases, BlockRange range);

// Changing the size to `new_size`. Equal size is allowed unless +i or +a stands against any
// change. ERRORS: not_permitted, pinned, file_too_big.
Result<void> check_size_change(const FileState &file, const std::vector<BlockRange> &pins,
                               const Leases &leases, std::uint64_t new_size);

// Removing one of `link_count` names. ERRORS: not_permitted (last name of a pinned file; +i, +a).
Result<void> check_unlink(const FileState &file);

// UNPIN against write leases of others. ERRORS: busy.
Result<void> check_unpin_leases(const Leases &leases, BlockRange range, std::uint64_t handle);

// Taking a lease; the range as for a pin. ERRORS: read_only, invalid, bad_handle, not_permitted.
// A lease that would have to change the file first (`prepare`) needs a writable descriptor too.
Result<BlockRange> check_lease_request(const FileState &file, const PinCaller &caller,
                                       ByteRange range, bool write, bool prepare = false);

} // namespace daxpin::immutable
