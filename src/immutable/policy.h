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
    std::uint64_t size = 0; // bytes
    bool immutable_flag = false; // chattr +i
    bool append_flag = false;    // chattr +a
    bool pinned_whole = false;
    bool any_pin = false;
    bool read_only_mount = false;
};

struct PinCaller {
    bool may_pin = false; // owner or capable, as the mount option says
    bool writable = true; // the descriptor; true for requests by attribute
    std::uint64_t handle = 0; // 0 = none
};

// A range as the client gave it, in bytes; (0, 0) is the whole file.
struct ByteRange {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    bool whole() const { return offset == 0 && length == 0; }
};

// Checks a PIN or UNPIN request and turns its range into blocks, rounded out.
// ERRORS in this order: read_only, bad_handle, invalid, not_permitted.
Result<BlockRange> check_pin_request(const FileState &file, const PinCaller &caller,
                                     ByteRange range, std::uint64_t align);

// Changing the map of `range` (truncate that frees or adds, punch, zero, growing copy).
// ERRORS: not_permitted (+i), pinned.
Result<void> check_map_change(const FileState &file, const std::vector<BlockRange> &pins,
                              const Leases &leases, BlockRange range);

// Changing the size to `new_size`. Equal size is always allowed. ERRORS: not_permitted, pinned.
Result<void> check_size_change(const FileState &file, const std::vector<BlockRange> &pins,
                               const Leases &leases, std::uint64_t new_size);

// Removing one of `link_count` names. ERRORS: not_permitted (last name of a pinned file; +i, +a).
Result<void> check_unlink(const FileState &file);

// UNPIN against write leases of others. ERRORS: busy.
Result<void> check_unpin_leases(const Leases &leases, BlockRange range, std::uint64_t handle);

// Taking a lease. ERRORS: read_only, invalid, bad_handle, not_permitted.
Result<BlockRange> check_lease_request(const FileState &file, const PinCaller &caller,
                                       ByteRange range, bool write);

} // namespace daxpin::immutable
