// SPDX-License-Identifier: BSD-3-Clause
//
// What operations on file data have to do with bad blocks (device/bad_blocks.h): none is read and
// none is written in part, for what it holds is lost even if the medium answers again; a write
// that covers a block whole makes it good.
//
// Unless said otherwise the caller holds the inode's lock exclusively.
#pragma once

#include "volume/file_data.h"

namespace daxpin::volume {

// ERRORS: io if a block of [offset, offset + length) of the file is bad; they lie in `extent`.
// A shared inode lock will do.
Result<void> check_no_bad_block(const Engine &engine, const Extent &extent, std::uint64_t offset,
                                std::uint64_t length);

// Rewrites the bad blocks of `extent` that bytes [offset, end) of the file cover whole (or up to
// the end of the file), and any that are unwritten, and takes them off the list, durably. `data`
// are these bytes; none means zeros. A block that stays bad is left: storing into it will fail.
// REQUIRES: begin_change() held, no transaction.
Result<void> rewrite_bad_blocks(Engine &engine, const CachedInode &inode, const Extent &extent,
                                std::uint64_t offset, std::uint64_t end,
                                std::span<const std::byte> data);

// The same for all extents of the range, with zeros.
Result<void> rewrite_bad_blocks(Engine &engine, const CachedInode &inode, std::uint64_t offset,
                                std::uint64_t end);

// A file lets go of a bad block. True if the block is listed: then it is the list's, and must not
// be freed.
Result<bool> disown_bad_block(Engine &engine, Transaction &tx, MediaBlock block);

// Runs `operation`, again whenever it failed at a block that was not known to be bad before.
template <typename Operation> auto around_bad_blocks(const Engine &engine, Operation operation) {
    for (;;) {
        const std::uint64_t known = engine.devices.bad_blocks().version();
        auto result = operation();
        if (result || result.code() != Errc::io || engine.is_read_only() ||
            engine.devices.bad_blocks().version() == known)
            return result;
    }
}

} // namespace daxpin::volume
