// SPDX-License-Identifier: BSD-3-Clause
//
// The check ends, and does not fall, whatever the image holds.
#include "support/test_env.h"
#include "unit/fsck/expect.h"

using namespace daxpin;
using namespace daxpin::test;

namespace {

constexpr std::uint64_t bitmap_block = Image::cell_b + 1;

// Overwrites a few bytes of a block; values that are likely to hurt.
void mangle(std::span<std::byte> block, std::uint64_t &seed) {
    static constexpr std::uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
    const unsigned count = 1 + split_mix(seed) % 4;
    for (unsigned i = 0; i < count; ++i) {
        const std::size_t at = split_mix(seed) % 512; // headers, slots, the first entries
        block[at] = std::byte{values[split_mix(seed) % 5]};
    }
}

} // namespace

TEST_CASE("hostile: garbage in a unit whose checksum holds ends in a report", "[fsck]") {
    for (std::uint64_t round = 0; round < 3000; ++round) {
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
        const auto report = image.check();
        CHECK_FALSE(report.cancelled);
    }
}

TEST_CASE("hostile: garbage in items ends in a report", "[fsck]") {
    for (std::uint64_t round = 0; round < 3000; ++round) {
        std::uint64_t seed = round;
        Image image;
        auto item = image.items.begin();
        std::advance(item, split_mix(seed) % image.items.size());
        for (unsigned i = 0; i < 3; ++i)
            item->second[split_mix(seed) % item->second.size()] =
                std::byte(split_mix(seed) % 3 == 0 ? 0xff : split_mix(seed));
        image.write();
        const auto report = image.check();
        CHECK_FALSE(report.cancelled);
    }
}

TEST_CASE("hostile: garbage in a superblock whose checksum holds ends in a report", "[fsck]") {
    for (std::uint64_t round = 0; round < 2000; ++round) {
        std::uint64_t seed = round;
        Image image(round % 2);
        image.write();
        auto *bytes = reinterpret_cast<std::byte *>(&image.superblock);
        for (unsigned i = 0; i < 2; ++i) {
            const std::size_t at = split_mix(seed) % 2 == 0 ? 16 + split_mix(seed) % 160
                                                            : 1024 + split_mix(seed) % 128;
            bytes[at] = std::byte(split_mix(seed) % 3 == 0 ? 0xff : split_mix(seed));
        }
        image.write_superblocks();
        const auto report = image.check();
        CHECK_FALSE(report.cancelled);
    }
}

TEST_CASE("hostile: devices full of zeros, ones or noise are no volume", "[fsck]") {
    Image image;
    const int pattern = GENERATE(0, 1, 2);
    std::uint64_t seed = 1;
    for (auto &byte : image.media().bytes())
        byte = std::byte(pattern == 0 ? 0 : pattern == 1 ? 0xff : split_mix(seed));
    const auto report = image.check();
    CHECK_FALSE(report.clean());
    CHECK(report.counts.nodes == 0);
}

TEST_CASE("hostile: a flip of any bit of metadata in use is found", "[fsck]") {
    Image image(1);
    image.write();
    struct Range {
        std::uint64_t block;
        std::size_t begin;
        std::size_t end;
    };
    std::vector<Range> ranges = {
        {0, 0, sizeof(format::DeviceLabel)},
        {0, format::superblock_offset, format::superblock_offset + sizeof(format::Superblock)},
        {Image::cell_a, 0, sizeof(format::TailCell)},
        {Image::cell_b, 0, sizeof(format::TailCell)},
        {bitmap_block, 0, block_size},
        {bitmap_block + 1, 0, block_size}};
    for (const auto &level : image.nodes)
        for (const auto node : level)
            ranges.push_back({node, 0, block_size});
    for (const auto &range : ranges) {
        for (std::size_t at = range.begin; at < range.end; at += 5) {
            auto &byte = image.block(range.block)[at];
            byte ^= std::byte{1} << (at % 8);
            const auto report = image.check();
            if (report.errors + report.notes == 0)
                FAIL("not found: block " << range.block << " byte " << at);
            byte ^= std::byte{1} << (at % 8);
        }
    }
    expect_clean(image);
}

TEST_CASE("report: findings are kept up to a number, all are counted", "[fsck]") {
    Image image;
    for (auto number : {Image::file, Image::sub, Image::pinned, Image::cut})
        image.change_inode(number, [](auto &inode) { inode.flags = inode.flags | 64; });
    image.write();
    fsck::CheckOptions options;
    options.findings_max = 2;
    const auto report = image.check(options);
    CHECK(report.findings.size() == 2);
    CHECK(report.errors == 4);
}

TEST_CASE("report: a check can be cancelled", "[fsck]") {
    Image image;
    image.leaf_items_max = 1;
    image.children_max = 2;
    for (std::uint64_t i = 0; i < 40; ++i)
        image.put_inode(100 + i, 0100644, 1, 0);
    image.write();
    fsck::CheckOptions options;
    double last = -1;
    options.progress = [&](double done) {
        CHECK(done >= last);
        CHECK(done <= 1);
        last = done;
        return false;
    };
    const auto report = image.check(options);
    CHECK(last >= 0);
    CHECK(report.cancelled);
    CHECK_FALSE(report.clean());
}
