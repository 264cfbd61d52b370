// SPDX-License-Identifier: BSD-3-Clause
#include "tools/reader/copies.h"

#include "base/checksum.h"
#include "format/sequence.h"

#include <algorithm>
#include <cstddef>

namespace daxpin::reader {
namespace {

template <typename T> std::span<std::byte> bytes_of(T &object) {
    return std::as_writable_bytes(std::span<T, 1>(&object, 1));
}

// The checksum of a structure whose `crc` field counts as zero.
template <typename T> bool own_checksum_holds(T object) {
    const std::uint32_t stored = object.crc;
    object.crc = 0;
    return crc32c(bytes_of(object)) == stored;
}

template <typename T>
CopyState load(const device::Device &device, std::uint64_t at, std::uint64_t magic, T &out) {
    if (at > device.info().size || device.info().size - at < sizeof(T))
        return CopyState::unreadable;
    if (!device.read(at, bytes_of(out)))
        return CopyState::unreadable;
    return out.magic == magic ? CopyState::valid : CopyState::wrong_magic;
}

template <typename T> Copy<T> load_versioned(const device::Device &device, std::uint64_t block,
                                             unsigned offset, std::uint64_t magic) {
    Copy<T> copy{};
    copy.block = block;
    copy.state = load(device, block * block_size + offset, magic, copy.value);
    if (!copy.valid())
        return copy;
    if (!own_checksum_holds(copy.value))
        copy.state = CopyState::wrong_checksum;
    else if (copy.value.format_version != format::version)
        copy.state = CopyState::other_version;
    else if (!is_legal(copy.value))
        copy.state = CopyState::impossible;
    return copy;
}

Copy<format::Superblock> load_superblock(const device::Device &device, std::uint64_t block,
                                         const format::DeviceLabel *label) {
    auto copy = load_versioned<format::Superblock>(device, block, format::superblock_offset,
                                                   format::superblock_magic);
    if (copy.valid() && label != nullptr &&
        !std::ranges::equal(copy.value.volume_uuid, label->volume_uuid))
        copy.state = CopyState::other_volume;
    return copy;
}

Copy<format::TailCell> load_cell(const device::Device &device, std::uint64_t block) {
    Copy<format::TailCell> copy{};
    copy.block = block;
    copy.state = load(device, block * block_size, format::tail_cell_magic, copy.value);
    constexpr std::size_t covered = offsetof(format::TailCell, crc);
    if (copy.valid() && crc32c(bytes_of(copy.value).first(covered)) != copy.value.crc)
        copy.state = CopyState::wrong_checksum;
    else if (copy.valid() &&
             (copy.value.tail % format::record_align != 0 || copy.value.tail >= format::tail_limit))
        copy.state = CopyState::impossible;
    return copy;
}

} // namespace

const char *to_string(CopyState state) noexcept {
    switch (state) {
    case CopyState::valid:
        return "valid";
    case CopyState::unreadable:
        return "cannot be read";
    case CopyState::wrong_magic:
        return "is not there (wrong magic number)";
    case CopyState::wrong_checksum:
        return "has a wrong checksum";
    case CopyState::other_version:
        return "is of another format version";
    case CopyState::impossible:
        return "has impossible fields";
    case CopyState::other_volume:
        return "is of another volume";
    }
    return "?";
}

Copies<format::DeviceLabel> read_labels(const device::Device &device) {
    Copies<format::DeviceLabel> labels;
    labels.first = load_versioned<format::DeviceLabel>(device, 0, 0, format::label_magic);
    const std::uint64_t device_blocks = device.info().size / block_size;
    std::uint64_t last = device_blocks == 0 ? 0 : device_blocks - 1;
    if (labels.first.valid())
        last = labels.first.value.block_count - 1;
    if (last < device_blocks)
        labels.second = load_versioned<format::DeviceLabel>(device, last, 0, format::label_magic);
    // One of another size was left by an earlier volume.
    if (labels.second.valid() && labels.second.value.block_count != last + 1)
        labels.second.state = CopyState::impossible;
    labels.second.block = last;
    return labels;
}

Copies<format::Superblock> read_superblocks(const device::Device &device,
                                            const format::DeviceLabel *label) {
    const std::uint64_t device_blocks = device.info().size / block_size;
    const std::uint64_t last = (label != nullptr ? label->block_count.get() : device_blocks) - 1;
    Copies<format::Superblock> superblocks;
    superblocks.first = load_superblock(device, 0, label);
    if (last < device_blocks)
        superblocks.second = load_superblock(device, last, label);
    superblocks.second.block = last;
    return superblocks;
}

Copies<format::TailCell> read_tail_cells(const device::Device &device,
                                         const format::Superblock &superblock) {
    return {load_cell(device, superblock.tail_cell_a), load_cell(device, superblock.tail_cell_b)};
}

const format::TailCell *ruling_cell(const Copies<format::TailCell> &cells) {
    const auto &a = cells.first;
    const auto &b = cells.second;
    if (a.valid() && b.valid())
        return a.value.counter >= b.value.counter ? &a.value : &b.value;
    return cells.best();
}

} // namespace daxpin::reader
