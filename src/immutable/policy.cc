// SPDX-License-Identifier: BSD-3-Clause
#include "immutable/policy.h"

#include "base/assert.h"

#include <algorithm>
#include <bit>

namespace daxpin::immutable {
namespace {

bool pins_overlap(const std::vector<BlockRange> &pins, BlockRange range) {
    return std::any_of(pins.begin(), pins.end(),
                       [&](const BlockRange &pin) { return pin.overlaps(range); });
}

Result<BlockRange> check_range(const FileState &file, ByteRange range) {
    if (!file.regular || file.link_count == 0 || file.size == 0)
        return Errc::invalid;
    if (range.whole())
        return blocks_of(0, file.size, file.mapping_unit);
    const std::uint64_t end_max = end_of(file.size, file.mapping_unit).bytes();
    if (range.length == 0 || range.offset % block_size != 0 || range.offset >= file.size ||
        range.length > end_max - range.offset)
        return Errc::invalid;
    return blocks_of(range.offset, range.length, file.mapping_unit);
}

} // namespace

BlockRange blocks_of(std::uint64_t offset, std::uint64_t length, std::uint64_t unit) {
    DAXPIN_ASSERT(length > 0 && std::has_single_bit(unit) && unit >= block_size);
    const FileBlock first{offset / unit * (unit / block_size)};
    return {first, end_of(offset + length, unit) - first};
}

FileBlock end_of(std::uint64_t size, std::uint64_t unit) {
    const std::uint64_t units = size / unit + (size % unit != 0);
    return {units * (unit / block_size)};
}

Result<BlockRange> check_pin_request(const FileState &file, const PinCaller &caller,
                                     ByteRange range, std::uint64_t align) {
    if (file.read_only_mount)
        return Errc::read_only;
    if (!caller.writable)
        return Errc::bad_handle;
    if (align != 0 && (!std::has_single_bit(align) || align < block_size))
        return Errc::invalid;
    DAXPIN_TRY_ASSIGN(const BlockRange blocks, check_range(file, range));
    if (!caller.may_pin || file.immutable_flag || file.append_flag)
        return Errc::not_permitted;
    return blocks;
}

Result<void> check_extend_request(const FileState &file, const PinCaller &caller,
                                  std::uint64_t new_size) {
    if (file.read_only_mount)
        return Errc::read_only;
    if (!caller.writable)
        return Errc::bad_handle;
    if (!file.regular || file.link_count == 0 || !file.any_pin || new_size < file.size)
        return Errc::invalid;
    if (!caller.may_pin || file.immutable_flag || file.append_flag)
        return Errc::not_permitted;
    if (new_size > file_size_max)
        return Errc::file_too_big;
    return {};
}

Result<void> check_open(const FileState &file, bool write, bool append, bool truncate) {
    if (!write && !truncate)
        return {};
    if (file.immutable_flag && (truncate || !file.any_pin))
        return Errc::not_permitted;
    if (file.append_flag && (truncate || !append))
        return Errc::not_permitted;
    return {};
}

Result<void> check_write(const FileState &file, std::uint64_t offset, std::uint64_t length,
                         bool append) {
    if (file.immutable_flag || (file.append_flag && !append))
        return Errc::not_permitted;
    if (offset > file_size_max || length > file_size_max - offset)
        return Errc::file_too_big;
    if (file.pinned_whole && offset + length > file.size)
        return Errc::pinned;
    return {};
}

Result<void> check_map_change(const FileState &file, const std::vector<BlockRange> &pins,
                              const Leases &leases, BlockRange range) {
    if (file.immutable_flag)
        return Errc::not_permitted;
    if (file.pinned_whole || pins_overlap(pins, range) || leases.seals_overlap(range))
        return Errc::pinned;
    return {};
}

Result<void> check_size_change(const FileState &file, const std::vector<BlockRange> &pins,
                               const Leases &leases, std::uint64_t new_size) {
    if (file.immutable_flag || file.append_flag)
        return Errc::not_permitted;
    if (new_size > file_size_max)
        return Errc::file_too_big;
    if (new_size == file.size)
        return {};
    if (file.pinned_whole)
        return Errc::pinned;
    if (new_size > file.size)
        return {};
    // A pinned or leased file keeps its last mapping unit whole, so cutting within it frees none.
    const FileBlock end = end_of(new_size, file.mapping_unit);
    const BlockRange cut{end, {~std::uint64_t{0} - end.value}};
    if (pins_overlap(pins, cut) || leases.seals_overlap(cut))
        return Errc::pinned;
    return {};
}

Result<void> check_unlink(const FileState &file) {
    if (file.immutable_flag || file.append_flag)
        return Errc::not_permitted;
    if (file.any_pin && file.link_count <= 1)
        return Errc::not_permitted;
    return {};
}

Result<void> check_unpin_leases(const Leases &leases, BlockRange range, std::uint64_t handle) {
    if (leases.seals_overlap_other(range, handle))
        return Errc::busy;
    return {};
}

Result<BlockRange> check_lease_request(const FileState &file, const PinCaller &caller,
                                       ByteRange range, bool write, bool prepare) {
    if (file.read_only_mount)
        return Errc::read_only;
    DAXPIN_TRY_ASSIGN(const BlockRange blocks, check_range(file, range));
    if ((write || prepare) && !caller.writable)
        return Errc::bad_handle;
    if ((write || prepare) && (file.append_flag || (file.immutable_flag && !file.any_pin)))
        return Errc::not_permitted;
    return blocks;
}

} // namespace daxpin::immutable
