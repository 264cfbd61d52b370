// SPDX-License-Identifier: BSD-3-Clause
//
// Where an older copy of a leaf has come back, its items speak for blocks that others have by now:
// these keep them. And a unit that was lost although the journal holds changes of it.
#include "unit/repair/harness.h"

#include <algorithm>
#include <sys/stat.h>

using namespace daxpin;
using namespace daxpin::test;
using format::ExtentItem;
using format::InodeItem;
using format::ItemType;

namespace {

constexpr std::size_t address_bytes = sizeof(le64);

void set_last_address(std::span<std::byte> item, std::uint64_t block) {
    const auto address = bytes_of(le64(block));
    std::ranges::copy(address, item.end() - address_bytes);
}

// Repairs, and says which inodes differ from `image` as it is; the check finds nothing afterwards.
std::set<std::uint64_t> changed_by_repair(Image &image) {
    const auto before = content_of(image.all_media());
    CHECK_FALSE(image.check().clean());
    const auto outcome = repair_media(image.all_media());
    INFO(text_of(outcome));
    const auto after = image.check();
    CHECK(after.clean());
    CHECK(after.notes == 0);
    return differing(before, content_of(image.all_media()));
}

} // namespace

TEST_CASE("older copy: blocks of two files stay with the one that changed last", "[repair]") {
    const auto [winner, loser] =
        GENERATE(std::pair(Image::file, Image::cut), std::pair(Image::cut, Image::file));
    Image image;
    image.change<ExtentItem>(Image::key(Image::cut, ItemType::extent), [&](ExtentItem &extent) {
        extent.media_block = image.file_blocks;
        extent.block_count = 2;
        extent.flags = 0;
    });
    image.change_inode(Image::cut, [](InodeItem &inode) { inode.block_count = 2; });
    image.change_inode(winner, [](InodeItem &inode) { inode.ctime_ns = 2'000; });
    image.change_inode(loser, [](InodeItem &inode) { inode.ctime_ns = 1'000; });
    image.write();
    const auto changed = changed_by_repair(image);
    INFO("inode " << winner);
    CHECK(changed.contains(loser));
    CHECK_FALSE(changed.contains(winner));
}

TEST_CASE("older copy: a blob's block stays with the blob whose checksum holds", "[repair]") {
    // The stale claim comes before the right one, then behind it.
    const auto stale = GENERATE(Image::file, Image::pinned);
    const auto right = stale == Image::file ? Image::pinned : Image::file;
    Image image;
    const auto stale_key = image.name_key(stale, ItemType::xattr, "user.stale");
    const auto right_key = image.name_key(right, ItemType::xattr, "user.right");
    image.put_blob(right_key, "user.right", ImageBytes(3000, std::byte{'R'}));
    image.put_blob(stale_key, "user.stale", ImageBytes(3000, std::byte{'S'}));
    le64 block;
    const auto &item = image.items.at(right_key);
    std::memcpy(&block, item.data() + item.size() - address_bytes, address_bytes);
    set_last_address(image.items.at(stale_key), block);
    image.write();
    CHECK(changed_by_repair(image) == std::set{stale});
}

TEST_CASE("older copy: a node stays where a blob is said to be", "[repair]") {
    Image image;
    const auto key = image.name_key(format::root_inode, ItemType::xattr, "user.stale");
    image.put_blob(key, "user.stale", ImageBytes(3000, std::byte{'S'}));
    image.write();
    const auto [leaf, slot] = image.find(key);
    REQUIRE(leaf != image.nodes[0].back()); // it is visited later
    const auto where = image.at<format::LeafSlot>(leaf, sizeof(format::NodeHeader) + slot * 4);
    set_last_address(image.block(leaf).subspan(where.offset, where.length), image.nodes[0].back());
    Image::seal_unit(image.block(leaf));
    CHECK(changed_by_repair(image) == std::set<std::uint64_t>{format::root_inode});
}

// The pieces are put in several steps, the last ones first, and the extent is taken away in the
// last step.
TEST_CASE("older copy: a repair that was interrupted while it cut an extent", "[repair]") {
    constexpr std::uint64_t old = 40, first = 100;
    constexpr std::uint32_t blocks = 40; // every other one belongs to another file
    const std::uint32_t put_from = GENERATE(0u, 25u, 41u);
    Image image;
    image.put_inode(old, S_IFREG | 0600, 1, 200 * block_size);
    image.put_entry(format::root_inode, "old", old, S_IFREG);
    image.change_inode(format::root_inode, [](InodeItem &root) { root.size = root.size + 1; });
    const std::uint64_t media = image.allocate(0, blocks);
    image.put_extent(old, first, media, blocks);
    for (std::uint32_t i = 0; i < blocks; i += 2)
        image.put_extent(Image::file, first + i, media + i, 1);
    for (std::uint32_t i = put_from | 1; i < blocks; i += 2)
        image.put_extent(old, first + i, media + i, 1);
    image.change_inode(Image::file, [](InodeItem &inode) { inode.ctime_ns = 2'000; });
    image.change_inode(old, [](InodeItem &inode) { inode.ctime_ns = 1'000; });
    image.write();
    CHECK(changed_by_repair(image) == std::set{old});
    const auto content = content_of(image.all_media());
    for (std::uint32_t i = 1; i < blocks; i += 2) {
        INFO("file block " << first + i);
        const auto found = content.find(Image::key(old, ItemType::extent, first + i));
        REQUIRE(found != content.end());
        ExtentItem extent;
        std::memcpy(&extent, found->second.data(), sizeof extent);
        CHECK(extent.media_block == media + i);
        CHECK(extent.block_count == 1);
    }
}

TEST_CASE("repair: a unit is lost that records in the journal change", "[repair]") {
    Image image;
    image.write();
    const std::uint64_t chunk = image.superblock.devices[0].bitmap_start;
    const auto home = image.block(chunk);
    image.append_record({{chunk, 0, ImageBytes(home.begin(), home.begin() + 24)}});
    std::ranges::fill(home.subspan(100, 64), std::byte{0x77});
    CHECK(changed_by_repair(image).empty());
}
