// SPDX-License-Identifier: BSD-3-Clause
#include "tools/reader/view.h"

#include <algorithm>
#include <cstdio>

namespace daxpin::reader {
namespace {

HashKey key_of(const std::byte (&bytes)[16]) {
    HashKey key;
    std::copy(std::begin(bytes), std::end(bytes), key.begin());
    return key;
}

HashKey ruling_epoch(const Copies<format::TailCell> &cells) {
    const auto *cell = ruling_cell(cells);
    return cell == nullptr ? HashKey{} : key_of(cell->epoch);
}

bool lies_on(std::uint64_t start, std::uint64_t count, std::uint64_t device_blocks) {
    return count > 0 && start < device_blocks && count <= device_blocks - start;
}

std::uint64_t groups_of(std::uint64_t blocks) {
    return blocks / format::blocks_per_group + (blocks % format::blocks_per_group != 0);
}

} // namespace

std::vector<std::string> geometry_problems(const format::Superblock &superblock,
                                           const device::DeviceTable &devices) {
    std::vector<std::string> problems;
    const auto require = [&](bool holds, const char *text) {
        if (!holds)
            problems.emplace_back(text);
    };
    require(superblock.block_bytes == block_size, "block size is not 4096");
    require(superblock.device_count == devices.count(), "number of devices does not match");
    const std::uint64_t blocks = superblock.devices[0].block_count;
    require(blocks <= devices.metadata().info().size / block_size,
            "device 0 is shorter than the superblock says");
    require(lies_on(superblock.ring_start, superblock.ring_blocks, blocks),
            "the journal ring is not on device 0");
    require(superblock.ring_blocks >= format::ring_bytes_min / block_size,
            "the journal ring is too small");
    require(lies_on(superblock.tail_cell_a, 1, blocks) &&
                lies_on(superblock.tail_cell_b, 1, blocks) &&
                superblock.tail_cell_a != superblock.tail_cell_b,
            "the tail cells are not on device 0");
    require(lies_on(superblock.root, 1, blocks), "the tree's root is not on device 0");
    const unsigned count = std::min<unsigned>(superblock.device_count, format::devices_max);
    for (unsigned i = 0; i < count; ++i) {
        const auto &entry = superblock.devices[i];
        require(entry.group_count == groups_of(entry.block_count),
                "wrong number of bitmap chunks for a device");
        require(lies_on(entry.bitmap_start, entry.group_count, blocks),
                "the bitmap chunks of a device are not on device 0");
    }
    return problems;
}

View::View(const device::DeviceTable &devices, const format::Superblock &superblock, bool replay)
    : devices_(devices), superblock_(superblock),
      cells_(read_tail_cells(devices.metadata(), superblock)),
      ring_(devices.metadata(), superblock.ring_start, superblock.ring_blocks,
            ruling_epoch(cells_)) {
    const auto *cell = ruling_cell(cells_);
    if (cell == nullptr)
        return;
    walk_ = ring_.walk(cell->tail);
    if (!replay || !walk_.replayable())
        return;
    patches_ = walk_.patches;
    std::ranges::stable_sort(patches_, {}, &Patch::block);
}

std::span<const Patch> View::patches_of(MediaBlock first, BlockCount count) const {
    const auto begin = std::ranges::lower_bound(patches_, first.value, {}, &Patch::block);
    const auto end =
        std::ranges::lower_bound(begin, patches_.end(), (first + count).value, {}, &Patch::block);
    return {begin, end};
}

Result<void> View::read(MediaBlock block, UnitBytes &out) const {
    if (block.device() != 0 || block.block() >= superblock_.devices[0].block_count)
        return Error{Errc::corrupt, "not a block of device 0"};
    DAXPIN_TRY(devices_.metadata().read(block.block() * block_size, out));
    if (patches_.empty())
        return {};
    for (const Patch &patch : patches_of(block, BlockCount{1}))
        DAXPIN_TRY(ring_.read(patch.seat, std::span(out).subspan(patch.offset, patch.length)));
    return {};
}

HashKey View::hash_key() const {
    return key_of(superblock_.hash_key);
}

std::uint64_t name_hash(const HashKey &key, std::string_view name) {
    const std::uint64_t hash = keyed_hash(key, std::as_bytes(std::span(name))) >> 12;
    return hash == 0 ? 1 : hash;
}

std::string printable(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f && c != '\\') {
            out += c;
            continue;
        }
        char escaped[5];
        std::snprintf(escaped, sizeof escaped, "\\x%02x", byte);
        out += escaped;
    }
    return out;
}

} // namespace daxpin::reader
