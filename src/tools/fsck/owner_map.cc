// SPDX-License-Identifier: BSD-3-Clause
#include "tools/fsck/owner_map.h"

#include "base/bits.h"

#include <algorithm>
#include <bit>

namespace daxpin::fsck {
namespace {

constexpr GroupBits no_bits{};

} // namespace

OwnerMap::OwnerMap(const format::Superblock &superblock) {
    const unsigned count = std::min<unsigned>(superblock.device_count, format::devices_max);
    for (unsigned i = 0; i < count; ++i) {
        DeviceBits bits;
        bits.block_count = superblock.devices[i].block_count;
        bits.groups.resize(superblock.devices[i].group_count);
        devices_.push_back(std::move(bits));
    }
}

bool OwnerMap::contains(MediaRun run) const {
    if (run.start.device() >= devices_.size() || run.count.value == 0)
        return false;
    const std::uint64_t blocks = devices_[run.start.device()].block_count;
    return run.start.block() < blocks && run.count.value <= blocks - run.start.block();
}

OwnerMap::Conflict OwnerMap::claim(MediaRun run) {
    Conflict conflict;
    auto &groups = devices_[run.start.device()].groups;
    std::uint64_t block = run.start.block();
    const std::uint64_t end = block + run.count.value;
    while (block < end) {
        auto &bits = groups[block / format::blocks_per_group];
        if (!bits)
            bits = std::make_unique<GroupBits>();
        const std::uint64_t begin = block % format::blocks_per_group;
        const std::uint64_t group_first = block - begin;
        const auto count = std::min(format::blocks_per_group - begin, end - block);
        for_each_word(begin, begin + count, [&](std::size_t index, std::uint64_t mask) {
            auto &word = (*bits)[index];
            if (const std::uint64_t twice = word & mask) {
                if (conflict.count == 0)
                    conflict.first =
                        MediaBlock::at(run.start.device(),
                                       group_first + index * word_bits + std::countr_zero(twice));
                conflict.count += std::popcount(twice);
            }
            word |= mask;
        });
        block += count;
    }
    return conflict;
}

bool OwnerMap::holds(MediaBlock block) const {
    const std::uint64_t bit = block.block() % format::blocks_per_group;
    const auto &bits = group(block.device(), block.block() / format::blocks_per_group);
    return (bits[bit / 64] >> bit % 64 & 1) != 0;
}

const GroupBits &OwnerMap::group(unsigned device, std::uint64_t group) const {
    const auto &bits = devices_[device].groups[group];
    return bits ? *bits : no_bits;
}

} // namespace daxpin::fsck
