// SPDX-License-Identifier: BSD-3-Clause
//
// Making a range of a file fit to be mapped: allocated, written, aligned; and the order in which
// PIN and LEASE go about it (docs/pinning.md, "PREPARE").
#pragma once

#include "volume/file_data.h"

#include <functional>

namespace daxpin::volume {

// Whether every block of the range is written and lies on media as `align` (bytes) asks.
// REQUIRES: inode locked exclusively.
Result<bool> fits_mapping(Engine &engine, CachedInode &inode, BlockRange range,
                          std::uint64_t align);

// Makes the range fit, in steps. New blocks are zeroed; data is moved to aligned blocks where it
// must be. Blocks up to the next multiple of `align` may come to the file as well.
// REQUIRES: inode locked exclusively; no unfinished truncate.
// ERRORS: no_space; busy (somebody leases what must move), pinned; io.
Result<void> prepare_locked(Engine &engine, CachedInode &inode, BlockRange range,
                            std::uint64_t align, alloc::Reservation &reservation);

// Sets aside what prepare_locked() will need. REQUIRES: inode locked. ERRORS: no_space.
Result<alloc::Reservation> reserve_for(Engine &engine, CachedInode &inode, BlockRange range,
                                       std::uint64_t align);

// How a range gets frozen: for a while (a lease) or for good (a pin).
struct Freeze {
    const Caller &caller;
    std::uint64_t align = block_size; // bytes; at least the mapping unit
    bool prepare = false;
    // Asks policy; nothing if what is wanted holds already. Called under the inode's lock, again
    // after everything that let go of it.
    std::function<Result<std::optional<BlockRange>>()> check;
    // Grants, under the inode's lock, when the range fits and nobody caches the file.
    std::function<Result<void>(BlockRange)> grant;
};

// Opens become direct, cached handles are waited for, the range is prepared if asked, the end of
// the file's last mapping unit zeroed, and the request granted. What was prepared for a request
// that then fails stays with the file.
// REQUIRES: begin_change() held; no lock held.
// ERRORS: of check and grant; invalid (does not fit); busy; interrupted (the caller has given up);
// as prepare_locked().
Result<void> freeze(Engine &engine, CachedInode &inode, const Freeze &request);

// What is written behind the end of file, up to `end`, becomes zeros, durably.
// REQUIRES: inode locked exclusively.
Result<void> zero_behind_end(Engine &engine, CachedInode &inode, FileBlock end);

// The alignment that a request for `asked` bytes (0 = any) needs.
std::uint64_t mapping_align(const Engine &engine, std::uint64_t asked);

// What policy wants to know of whoever asks for a pin. REQUIRES: inode locked.
// ERRORS: bad_handle if there is no such open file.
Result<immutable::PinCaller> pin_caller(const Engine &engine, const Caller &caller,
                                        const CachedInode &inode, Handle handle);

} // namespace daxpin::volume
