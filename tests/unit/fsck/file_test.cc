// SPDX-License-Identifier: BSD-3-Clause
#include "unit/fsck/expect.h"

#include <sys/stat.h>

using namespace daxpin;
using namespace daxpin::test;
using format::ExtentItem;
using format::InodeItem;
using format::ItemType;

namespace {

template <typename Change> Image with_items(Change &&change, unsigned data_devices = 0) {
    Image image(data_devices);
    change(image);
    image.write();
    return image;
}

// Changes the first extent of the file of three blocks.
template <typename Change> Image with_extent(Change &&change, unsigned data_devices = 0) {
    return with_items(
        [&](Image &image) {
            image.change<ExtentItem>(Image::key(Image::file, ItemType::extent), change);
        },
        data_devices);
}

void add_blocks(Image &image, std::uint64_t inode, int count) {
    image.change_inode(inode,
                       [&](InodeItem &item) { item.block_count = item.block_count + count; });
}

const auto small = std::string_view("user.small");
const auto big = std::string_view("user.big");

} // namespace

TEST_CASE("extent: fields are possible", "[fsck]") {
    auto count = with_extent([](ExtentItem &item) { item.block_count = 0; });
    expect_error(count, Subject::extent, "impossible fields");
    auto flags = with_extent([](ExtentItem &item) { item.flags = 2; });
    expect_error(flags, Subject::extent, "impossible fields");
    auto size = with_items(
        [](Image &image) { image.items[Image::key(Image::file, ItemType::extent)].resize(12); });
    expect_error(size, Subject::extent, "impossible fields");
    auto end = with_items([](Image &image) {
        image.put_extent(Image::file, (std::uint64_t{1} << 51) - 1, image.allocate(0, 2), 2);
    });
    expect_only(end, Subject::extent, "beyond the greatest size");
}

TEST_CASE("extent: those of a file do not overlap", "[fsck]") {
    auto image = with_items([](Image &i) { i.put_extent(Image::file, 1, i.allocate(0), 1); });
    expect_only(image, Subject::extent, "extent at file block 1 overlaps the one before");
}

TEST_CASE("extent: blocks beyond the end of the file are allowed", "[fsck]") {
    auto image = with_items([](Image &i) { i.put_extent(Image::file, 900, i.allocate(0), 1); });
    expect_clean(image);
}

TEST_CASE("extent: the inode's block count is their sum", "[fsck]") {
    auto image = with_items([](Image &i) { add_blocks(i, Image::file, 1); });
    expect_only(image, Subject::extent, "block count 4, blocks of its extents 3");
}

TEST_CASE("extent: only regular files have any", "[fsck]") {
    auto image = with_items([](Image &i) { i.put_extent(Image::sub, 0, i.allocate(0), 1); });
    expect_only(image, Subject::extent, "inode 17: has extents but is not a regular file");
}

TEST_CASE("ownership: a block has one owner", "[fsck]") {
    auto files = with_items(
        [](Image &image) { image.put_extent(Image::cut, 10, image.file_blocks + 1, 1); });
    expect_only(files, Subject::ownership, "inode 21: block 0:");
    auto metadata =
        with_items([](Image &image) { image.put_extent(Image::cut, 10, Image::cell_a, 1); });
    expect_only(metadata, Subject::ownership, "inode 21: block 0:1");
    auto label =
        with_items([](Image &image) { image.put_extent(Image::cut, 10, Image::blocks - 1, 1); });
    expect_only(label, Subject::ownership, "inode 21: block 0:255");
}

TEST_CASE("ownership: extents lie on a device of the volume", "[fsck]") {
    auto beyond = with_extent([](ExtentItem &item) { item.media_block = Image::blocks - 1; });
    expect_error(beyond, Subject::ownership, "not on a device of the volume");
    auto device =
        with_extent([](ExtentItem &item) { item.media_block = MediaBlock::at(2, 9).value; }, 1);
    expect_error(device, Subject::ownership, "not on a device of the volume");
    auto wide = with_extent([](ExtentItem &item) {
        item.media_block = MediaBlock::at(0, (std::uint64_t{1} << 48) - 1).value;
        item.block_count = ~std::uint32_t{0};
    });
    expect_error(wide, Subject::ownership, "not on a device of the volume");
}

TEST_CASE("role: no data on a metadata device", "[fsck]") {
    auto image = with_items([](Image &i) { i.put_extent(Image::cut, 10, i.allocate(0), 1); }, 1);
    expect_only(image, Subject::role, "holds data on a metadata device");
}

TEST_CASE("role: no metadata on a data device", "[fsck]") {
    auto image = with_items(
        [](Image &i) {
            const auto key = i.name_key(Image::file, ItemType::xattr, big);
            const auto address = bytes_of(le64(MediaBlock::at(1, i.allocate(1)).value));
            std::copy(address.begin(), address.end(), i.items.at(key).begin() + 24);
        },
        1);
    expect_error(image, Subject::ownership, "not on the metadata device");
}

TEST_CASE("pin: ranges of a file neither touch nor overlap", "[fsck]") {
    const auto with_pins = [](std::uint64_t second) {
        return with_items([&](Image &image) {
            image.items[Image::key(Image::file, ItemType::pin)] =
                bytes_of(format::PinItem{.block_count = 1});
            image.items[Image::key(Image::file, ItemType::pin, second)] =
                bytes_of(format::PinItem{.block_count = 1});
        });
    };
    auto touching = with_pins(1);
    expect_only(touching, Subject::pin, "pin at file block 1 touches or overlaps");
    auto apart = with_items([](Image &image) {
        image.put_extent(Image::cut, 4, image.allocate(0), 1);
        image.items[Image::key(Image::cut, ItemType::pin)] =
            bytes_of(format::PinItem{.block_count = 2});
        image.items[Image::key(Image::cut, ItemType::pin, 4)] =
            bytes_of(format::PinItem{.block_count = 1});
    });
    expect_clean(apart);
}

TEST_CASE("pin: fields are possible, the file is regular and has a name", "[fsck]") {
    auto empty = with_items([](Image &image) {
        image.items[Image::key(Image::pinned, ItemType::pin)] =
            bytes_of(format::PinItem{.block_count = 0});
    });
    expect_error(empty, Subject::pin, "impossible fields");
    auto huge = with_items([](Image &image) {
        image.items[Image::key(Image::pinned, ItemType::pin)] =
            bytes_of(format::PinItem{.block_count = ~std::uint64_t{0}});
    });
    expect_error(huge, Subject::pin, "impossible fields");
    auto directory = with_items([](Image &image) {
        image.items[Image::key(Image::sub, ItemType::pin)] =
            bytes_of(format::PinItem{.block_count = 1});
    });
    expect_error(directory, Subject::pin, "pinned but not a regular file");
    auto unnamed = with_items([](Image &image) {
        image.items[Image::key(Image::removed, ItemType::pin)] =
            bytes_of(format::PinItem{.block_count = 1});
    });
    expect_only(unnamed, Subject::pin, "pinned but without a name");
}

TEST_CASE("pin: written extents cover it", "[fsck]") {
    auto hole = with_items([](Image &image) {
        image.items[Image::key(Image::file, ItemType::pin, 1)] =
            bytes_of(format::PinItem{.block_count = 2});
    });
    expect_only(hole, Subject::pin, "pin at file block 1 covers holes or unwritten blocks");
    auto unwritten = with_items([](Image &image) {
        image.items[Image::key(Image::file, ItemType::pin, 4)] =
            bytes_of(format::PinItem{.block_count = 1});
    });
    expect_only(unwritten, Subject::pin, "covers holes or unwritten blocks");
}

TEST_CASE("pin: the whole-file flag goes with pins over the whole file", "[fsck]") {
    const auto pin = Image::key(Image::pinned, ItemType::pin);
    auto none = with_items([&](Image &image) { image.items.erase(pin); });
    expect_only(none, Subject::pin, "marked as wholly pinned");
    auto part = with_items(
        [&](Image &image) { image.items[pin] = bytes_of(format::PinItem{.block_count = 1}); });
    expect_only(part, Subject::pin, "marked as wholly pinned");
    auto later = with_items([&](Image &image) {
        image.items.erase(pin);
        image.items[Image::key(Image::pinned, ItemType::pin, 1)] =
            bytes_of(format::PinItem{.block_count = 1});
    });
    expect_only(later, Subject::pin, "marked as wholly pinned");
    auto directory = with_items([](Image &image) {
        image.change_inode(Image::sub,
                           [](InodeItem &item) { item.flags = format::inode_flag_pinned_whole; });
    });
    expect_error(directory, Subject::pin, "wholly pinned but not a regular file");
}

TEST_CASE("blob: content has the checksum in its item", "[fsck]") {
    auto inline_content = with_items([](Image &image) {
        image.items.at(image.name_key(Image::file, ItemType::xattr, small)).back() ^= std::byte{1};
    });
    expect_only(inline_content, Subject::blob, "extended attribute: wrong checksum");
    Image image;
    image.write();
    le64 address;
    const auto key = image.name_key(Image::file, ItemType::xattr, big);
    std::memcpy(&address, image.items.at(key).data() + 24, sizeof address);
    image.block(address)[100] ^= std::byte{1};
    expect_only(image, Subject::blob, "extended attribute: wrong checksum");
    image.media().poison(address * block_size, 64);
    expect_only(image, Subject::media, "extended attribute");
}

TEST_CASE("blob: lengths fit together", "[fsck]") {
    using format::BlobItem;
    const auto broken = [](std::string_view name, auto &&change) {
        Image image;
        image.change<BlobItem>(image.name_key(Image::file, ItemType::xattr, name), change);
        image.write();
        expect_error(image, Subject::blob, "impossible lengths");
    };
    broken(small, [](BlobItem &item) { item.length = 6; });
    broken(small, [](BlobItem &item) { item.name_length = 300; });
    broken(small, [](BlobItem &item) { item.name_length = 9; });
    broken(small, [](BlobItem &item) { item.block_count = 1; });
    broken(big, [](BlobItem &item) { item.block_count = 0; });
    broken(big, [](BlobItem &item) { item.block_count = 3; });
    broken(big, [](BlobItem &item) { item.length = 70000; });
    auto short_item = with_items([](Image &image) {
        image.items.at(image.name_key(Image::file, ItemType::xattr, small)).resize(8);
    });
    expect_only(short_item, Subject::blob, "impossible lengths");
}

TEST_CASE("blob: names of attributes are possible, hashed and there once", "[fsck]") {
    auto empty = with_items([](Image &image) {
        image.put_blob(image.name_key(Image::file, ItemType::xattr, ""), "", {});
    });
    expect_only(empty, Subject::blob, "impossible name");
    const std::string_view nul("user.\0x", 7);
    auto zero = with_items([&](Image &image) {
        image.put_blob(image.name_key(Image::file, ItemType::xattr, nul), nul, {});
    });
    expect_only(zero, Subject::blob, "impossible name");
    auto hash = with_items([](Image &image) {
        image.put_blob(image.name_key(Image::file, ItemType::xattr, "user.x"), "user.y", {});
    });
    expect_only(hash, Subject::blob, "the key of 'user.y' does not match its name");
    auto twice = with_items([](Image &image) {
        auto key = image.name_key(Image::file, ItemType::xattr, small);
        image.items[{key.first, key.second + 1}] = image.items.at(key);
    });
    expect_only(twice, Subject::blob, "'user.small' is there twice");
}

TEST_CASE("blob: its blocks have one owner", "[fsck]") {
    auto image = with_items([](Image &i) {
        auto &value = i.items.at(i.name_key(Image::file, ItemType::xattr, big));
        std::copy_n(value.begin() + 24, 8, value.begin() + 32);
    });
    expect_error(image, Subject::ownership, "extended attribute");
}

TEST_CASE("blob: a symbolic link has one target of its size", "[fsck]") {
    const auto target = Image::key(Image::link, ItemType::symlink);
    auto size = with_items([](Image &image) {
        image.change_inode(Image::link, [](InodeItem &item) { item.size = 7; });
    });
    expect_only(size, Subject::blob, "size 7, link target 6 bytes");
    auto missing = with_items([&](Image &image) { image.items.erase(target); });
    expect_only(missing, Subject::blob, "link target missing");
    auto empty = with_items([&](Image &image) {
        image.put_blob(target, "", {});
        image.change_inode(Image::link, [](InodeItem &item) { item.size = 0; });
    });
    expect_only(empty, Subject::blob, "impossible link target");
    auto named = with_items([&](Image &image) {
        image.put_blob(target, "n", {6, std::byte{'t'}});
    });
    expect_only(named, Subject::blob, "impossible link target");
    auto other = with_items([](Image &image) {
        image.put_blob(Image::key(Image::file, ItemType::symlink), "", {6, std::byte{'t'}});
    });
    expect_only(other, Subject::blob, "has a link target but is not a symbolic link");
    auto place = with_items([](Image &image) {
        const auto item = image.items.extract(Image::key(Image::link, ItemType::symlink));
        image.items[Image::key(Image::link, ItemType::symlink, 1)] = item.mapped();
    });
    expect_only(place, Subject::blob, "link target at an impossible place");
}
