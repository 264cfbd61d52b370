// SPDX-License-Identifier: BSD-3-Clause
//
// copy_file_range(2): by way of memory, piece by piece; each piece is a write of its own.
#include "volume/file_data.h"

#include <algorithm>

namespace daxpin::volume {
namespace {

constexpr std::uint64_t piece_bytes = std::uint64_t{256} << 10;
// More than that is left to the caller's next call, so that the locks are not held for long.
constexpr std::uint64_t copy_bytes_max = std::uint64_t{64} << 20;

struct CopyRequest {
    CachedInode &from;
    CachedInode &to;
    std::uint64_t from_offset;
    std::uint64_t to_offset;
    std::uint64_t length;
};

// Reads bytes of the file to memory; a poisoned page is an error, not a signal.
Result<void> read_piece(Engine &engine, CachedInode &inode, std::uint64_t offset,
                        std::span<std::byte> out) {
    std::ranges::fill(out, std::byte{0});
    const FileBlock first = block_at(offset);
    const std::uint64_t end = offset + out.size();
    DAXPIN_TRY_ASSIGN(
        const auto extents,
        engine.extents(inode.number).range(nullptr, first, immutable::end_of(end) - first));
    for (const Extent &extent : extents) {
        if (extent.unwritten)
            continue;
        const std::uint64_t from = std::max(offset, extent.first.bytes());
        const std::uint64_t to = std::min(end, extent.end().bytes());
        DAXPIN_TRY(engine.bad_blocks.check(extent, from, to - from));
        DAXPIN_TRY(engine.devices.read(extent.start, from - extent.first.bytes(),
                                       out.subspan(from - offset, to - from)));
    }
    return {};
}

// Blocks that the copy will have to allocate.
Result<BlockCount> blocks_missing(Engine &engine, const CopyRequest &copy) {
    const BlockRange range = immutable::blocks_of(copy.to_offset, copy.length);
    DAXPIN_TRY_ASSIGN(const auto extents,
                      engine.extents(copy.to.number).range(nullptr, range.first, range.count));
    BlockCount missing = range.count;
    for (const Extent &extent : extents)
        missing -= extent.count;
    return missing;
}

Result<std::uint64_t> copy_pieces(Engine &engine, const CopyRequest &copy) {
    DAXPIN_TRY_ASSIGN(const BlockCount missing, blocks_missing(engine, copy));
    alloc::Reservation reservation;
    if (missing.value > 0) {
        DAXPIN_TRY_ASSIGN(reservation, engine.reserve(missing));
    }
    std::vector<std::byte> buffer(std::min(copy.length, piece_bytes));
    std::uint64_t done = 0;
    while (done < copy.length) {
        const auto piece = std::span(buffer).first(std::min(copy.length - done, piece_bytes));
        auto bytes = [&]() -> Result<std::uint64_t> {
            DAXPIN_TRY(read_piece(engine, copy.from, copy.from_offset + done, piece));
            return write_locked(engine, copy.to, copy.to_offset + done, piece, &reservation);
        }();
        if (!bytes && done == 0)
            return bytes;
        if (!bytes)
            break;
        done += *bytes;
        if (*bytes < piece.size())
            break;
    }
    return done;
}

Result<std::uint64_t> copy_locked(Engine &engine, CopyRequest copy) {
    const std::uint64_t size = copy.from.attributes.size;
    if (copy.from_offset >= size)
        return 0;
    copy.length = std::min({copy.length, size - copy.from_offset, copy_bytes_max});
    if (copy.length == 0)
        return 0;
    const bool apart = copy.from_offset >= copy.to_offset + copy.length ||
                       copy.to_offset >= copy.from_offset + copy.length;
    if (&copy.from == &copy.to && !apart)
        return Errc::invalid;
    DAXPIN_TRY_ASSIGN(const auto state, engine.file_state(copy.to));
    DAXPIN_TRY(immutable::check_write(state, copy.to_offset, copy.length, false));
    return copy_pieces(engine, copy);
}

} // namespace

Result<std::uint64_t> Volume::copy_range(InodeNumber from_number, Handle from_handle,
                                         std::uint64_t from_offset, InodeNumber to_number,
                                         Handle to_handle, std::uint64_t to_offset,
                                         std::uint64_t length) {
    Engine &engine = *engine_;
    DAXPIN_TRY_ASSIGN(const auto change, engine.begin_change());
    DAXPIN_TRY_ASSIGN(const InodeRef from, engine.get_regular(from_number));
    DAXPIN_TRY_ASSIGN(const InodeRef to, engine.get_regular(to_number));
    access_file_unexpectedly(engine, *from);
    const InodeLocks locks({from.get(), to.get()});
    if (from_handle != 0 && find_handle(*from, from_handle) == nullptr)
        return Errc::bad_handle;
    DAXPIN_TRY(check_writer(*to, to_handle));
    if (to_offset > immutable::file_size_max)
        return Errc::file_too_big;
    return copy_locked(engine, {*from, *to, from_offset, to_offset, length});
}

} // namespace daxpin::volume
