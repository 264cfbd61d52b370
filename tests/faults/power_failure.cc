// SPDX-License-Identifier: BSD-3-Clause
#include "faults/power_failure.h"

#include "base/assert.h"
#include "device/label.h"
#include "faults/survey.h"
#include "support/volume_fixture.h"
#include "tools/reader/view.h"

#include <algorithm>
#include <set>

namespace daxpin::faults {

namespace {

// The blocks of device 0 that records change.
std::set<std::uint64_t> patched_blocks(const Media &media) {
    const auto table = test::open_table(media);
    const auto superblock = device::read_superblock(table.metadata());
    DAXPIN_ASSERT(superblock);
    const reader::View view(table, *superblock, true);
    std::set<std::uint64_t> blocks;
    for (const auto &patch : view.patches())
        blocks.insert(MediaBlock{patch.block}.block());
    return blocks;
}

std::set<std::uint64_t> units_in_use(const Media &media) {
    std::set<std::uint64_t> blocks;
    for (const Span &span : survey(media).in_use)
        if (span.place == Place::node || span.place == Place::bitmap)
            blocks.insert(span.offset / block_size);
    return blocks;
}

} // namespace

Media clones(const Media &media) {
    Media copies;
    for (const auto &one : media)
        copies.push_back(one->clone());
    return copies;
}

Media without_homes(const Media &media, const Media &before) {
    const Media crashed = clones(media);
    const auto units = units_in_use(before);
    for (const std::uint64_t block : patched_blocks(media))
        if (units.contains(block))
            std::ranges::copy(before[0]->bytes().subspan(block * block_size, block_size),
                              crashed[0]->bytes().subspan(block * block_size).begin());
    return crashed;
}

} // namespace daxpin::faults
