// SPDX-License-Identifier: BSD-3-Clause
#include "volume/geometry.h"

#include <algorithm>
#include <vector>

namespace daxpin::volume {

namespace {

struct Region {
    std::uint64_t start; // blocks of device 0
    std::uint64_t count;
};

Error senseless(const char *what) {
    return {Errc::corrupt,
            std::string("the superblock makes no sense (") + what +
                "): run fsck.daxpinfs -n to see all that is wrong, and restore a backup"};
}

std::uint64_t groups_of(std::uint64_t blocks) {
    return blocks / format::blocks_per_group + (blocks % format::blocks_per_group != 0 ? 1 : 0);
}

} // namespace

Result<void> check_geometry(const format::Superblock &superblock) {
    const std::uint64_t blocks = superblock.devices[0].block_count;
    if (blocks <= 2 || blocks > format::device_blocks_max)
        return senseless("size of device 0");
    if (superblock.ring_blocks < format::ring_bytes_min / block_size)
        return senseless("length of the journal");
    std::vector<Region> regions{{0, 1},
                                {blocks - 1, 1},
                                {superblock.ring_start, superblock.ring_blocks},
                                {superblock.tail_cell_a, 1},
                                {superblock.tail_cell_b, 1},
                                {superblock.root, 1}};
    for (unsigned i = 0; i < superblock.device_count; ++i) {
        const auto &device = superblock.devices[i];
        if (device.block_count > format::device_blocks_max ||
            device.group_count != groups_of(device.block_count))
            return senseless("size of a bitmap");
        if (device.role != static_cast<std::uint32_t>(format::role_of(i, superblock.device_count)))
            return senseless("role of a device");
        regions.push_back({device.bitmap_start, device.group_count});
    }
    std::ranges::sort(regions, {}, &Region::start);
    std::uint64_t end = 0;
    for (const Region &region : regions) {
        if (region.start < end || region.start >= blocks || region.count > blocks - region.start)
            return senseless("what overlaps or lies outside device 0");
        end = region.start + region.count;
    }
    return {};
}

} // namespace daxpin::volume
