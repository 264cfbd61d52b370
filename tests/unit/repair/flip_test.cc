// SPDX-License-Identifier: BSD-3-Clause
//
// Damage without a plan: every flipped bit is taken back, and whatever else an image holds, a
// repair ends and makes nothing worse.
#include "support/test_env.h"
#include "unit/repair/harness.h"

#include <algorithm>

using namespace daxpin;
using namespace daxpin::test;

namespace {

struct Range {
    std::uint64_t block;
    std::size_t begin;
    std::size_t end;
};

std::vector<Range> metadata_of(const Image &image) {
    constexpr std::size_t copy_end = format::superblock_offset + sizeof(format::Superblock);
    std::vector<Range> ranges = {{0, 0, sizeof(format::DeviceLabel)},
                                 {0, format::superblock_offset, copy_end},
                                 {Image::blocks - 1, 0, sizeof(format::DeviceLabel)},
                                 {Image::blocks - 1, format::superblock_offset, copy_end},
                                 {Image::cell_a, 0, sizeof(format::TailCell)},
                                 {Image::cell_b, 0, sizeof(format::TailCell)},
                                 {image.superblock.devices[0].bitmap_start, 0, block_size}};
    for (const auto &level : image.nodes)
        for (const auto node : level)
            ranges.push_back({node, 0, block_size});
    return ranges;
}

// Flips every `stride`th bit of metadata in use; each flip must be taken back, by both levels.
void flip_bits(std::size_t stride) {
    Image image;
    image.write();
    const auto wanted = content_of(image.all_media());
    const auto original = clones(image.all_media());
    std::size_t flips = 0;
    for (const auto &range : metadata_of(image))
        for (std::size_t bit = range.begin * 8 + flips % stride; bit < range.end * 8;
             bit += stride) {
            auto &byte = image.block(range.block)[bit / 8];
            byte ^= std::byte{1} << (bit % 8);
            const auto level = bit % 2 == 0 ? repair::Level::safe : repair::Level::all;
            const auto outcome = repair_media(image.all_media(), level);
            ++flips;
            if (!outcome.after.clean() || outcome.after.notes != 0 ||
                !differing(wanted, content_of(image.all_media())).empty())
                FAIL("block " << range.block << " bit " << bit << "\n" << text_of(outcome));
            std::ranges::copy(original[0]->bytes(), image.media().bytes().begin());
        }
    INFO(flips << " flips");
    CHECK(flips > 1000);
}

void mangle(std::span<std::byte> block, std::uint64_t &seed) {
    static constexpr std::uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
    const unsigned count = 1 + split_mix(seed) % 4;
    for (unsigned i = 0; i < count; ++i)
        block[split_mix(seed) % 512] = std::byte{values[split_mix(seed) % 5]};
}

} // namespace

TEST_CASE("flip: a flipped bit of metadata is taken back", "[repair]") {
    flip_bits(211);
}

TEST_CASE("flip: every flipped bit of metadata is taken back", "[.][repair][full]") {
    flip_bits(1);
}

TEST_CASE("hostile: garbage in items is repaired", "[repair]") {
    for (std::uint64_t round = 0; round < 1500; ++round) {
        std::uint64_t seed = round;
        Image image;
        auto item = image.items.begin();
        std::advance(item, split_mix(seed) % image.items.size());
        for (unsigned i = 0; i < 3; ++i)
            item->second[split_mix(seed) % item->second.size()] =
                std::byte(split_mix(seed) % 3 == 0 ? 0xff : split_mix(seed));
        image.write();
        const auto outcome = repair_media(image.all_media());
        if (!check(image.all_media()).clean())
            FAIL("round " << round << "\n" << text_of(outcome));
    }
}

TEST_CASE("hostile: garbage in nodes whose checksum holds is repaired", "[repair]") {
    for (std::uint64_t round = 0; round < 1500; ++round) {
        std::uint64_t seed = round;
        Image image(round % 2);
        image.write();
        const unsigned hits = 1 + split_mix(seed) % 3;
        for (unsigned i = 0; i < hits; ++i) {
            const auto &level = image.nodes[split_mix(seed) % image.nodes.size()];
            const auto node = level[split_mix(seed) % level.size()];
            mangle(image.block(node), seed);
            Image::seal_unit(image.block(node));
        }
        const auto outcome = repair_media(image.all_media());
        if (!check(image.all_media()).clean())
            FAIL("round " << round << "\n" << text_of(outcome));
    }
}

TEST_CASE("hostile: blocks of noise are repaired", "[repair]") {
    for (std::uint64_t round = 0; round < 500; ++round) {
        std::uint64_t seed = round;
        Image image;
        image.write();
        for (unsigned i = 0; i < 1 + round % 4; ++i)
            for (auto &byte : image.block(split_mix(seed) % Image::blocks))
                byte = std::byte(split_mix(seed));
        const auto before = check(image.all_media());
        const auto outcome = repair_media(image.all_media());
        const auto after = check(image.all_media());
        // Only without a label or superblock there is nothing to begin with.
        if (!after.clean() && before.counts.nodes + before.counts.metadata_blocks != 0)
            FAIL("round " << round << "\n" << text_of(outcome));
    }
}
