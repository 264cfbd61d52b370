// SPDX-License-Identifier: BSD-3-Clause
#include "unit/fsck/expect.h"

using namespace daxpin;
using namespace daxpin::test;

namespace {

constexpr std::uint64_t last = Image::blocks - 1;

// An image whose superblock is changed, both copies, and the labels with it.
template <typename Change> Image changed(Change &&change, unsigned data_devices = 0) {
    Image image(data_devices);
    image.write();
    change(image.superblock);
    image.write_superblocks();
    image.write_labels();
    return image;
}

// An image whose labels of one device are changed, both copies, checksums right.
template <typename Change> Image relabelled(unsigned device, Change &&change) {
    Image image(2);
    image.write();
    auto label = image.at<format::DeviceLabel>(0, 0, device);
    change(label);
    label.crc = 0;
    label.crc = crc32c(bytes_of(label));
    image.at<format::DeviceLabel>(0, 0, device) = label;
    image.at<format::DeviceLabel>(last, 0, device) = label;
    return image;
}

} // namespace

TEST_CASE("image: what the tests break is sound before", "[fsck]") {
    Image one;
    one.write();
    expect_clean(one);
    Image three(2);
    three.write();
    expect_clean(three);
}

TEST_CASE("counts: what was seen is counted", "[fsck]") {
    Image image;
    image.write();
    const auto counts = image.check().counts;
    CHECK(counts.inodes == 8);
    CHECK(counts.directories == 3);
    CHECK(counts.entries == 7);
    CHECK(counts.extents == 6);
    CHECK(counts.unfinished == 2);
    CHECK(counts.data_blocks == 9);
    CHECK(counts.metadata_blocks + counts.data_blocks + counts.free_blocks == Image::blocks);
}

TEST_CASE("label: damage to either copy is found and the other one serves", "[fsck]") {
    const auto block = GENERATE(std::uint64_t{0}, last);
    Image image(1);
    image.write();
    image.at<format::DeviceLabel>(block, 0, 1).reserved[3] = std::byte{1};
    expect_only(image, Subject::label, "wrong checksum");
    image.at<format::DeviceLabel>(block, 0, 1).magic = 0;
    expect_only(image, Subject::label, "wrong magic");
}

TEST_CASE("label: a poisoned copy is found", "[fsck]") {
    Image image;
    image.write();
    image.media().poison(last * block_size, block_size);
    expect_error(image, Subject::media, "label copy");
    expect_error(image, Subject::media, "superblock copy");
}

TEST_CASE("label: a second copy that a volume of another size left is none", "[fsck]") {
    Image image;
    image.write();
    auto &label = image.at<format::DeviceLabel>(last);
    label.block_count = last + 2;
    label.crc = 0;
    label.crc = crc32c(bytes_of(label));
    expect_error(image, Subject::label, "impossible fields");
    image.at<format::DeviceLabel>(0).magic = 0;
    expect_error(image, Subject::label, "wrong magic");
    expect_error(image, Subject::label, "impossible fields");
}

TEST_CASE("label: a copy with illegal fields is none", "[fsck]") {
    using Change = void (*)(format::DeviceLabel &);
    const Change change = GENERATE(
        as<Change>{}, [](format::DeviceLabel &label) { label.device_count = 17; },
        [](format::DeviceLabel &label) { label.index = 3; },
        [](format::DeviceLabel &label) { label.role = 0; },
        [](format::DeviceLabel &label) { label.role = 3; }, // both, though there are others
        [](format::DeviceLabel &label) { label.block_count = 1; },
        [](format::DeviceLabel &label) { label.mapping_unit = 12288; });
    Image image(2);
    image.write();
    auto &label = image.at<format::DeviceLabel>(0);
    change(label);
    label.crc = 0;
    label.crc = crc32c(bytes_of(label));
    expect_only(image, Subject::label, "impossible fields");
}

TEST_CASE("label: copies that differ are found", "[fsck]") {
    Image image;
    image.write();
    auto &label = image.at<format::DeviceLabel>(last);
    label.text[0] = 'x';
    label.crc = 0;
    label.crc = crc32c(bytes_of(label));
    expect_only(image, Subject::label, "differ");
}

TEST_CASE("superblock: damage to either copy is found and the other one serves", "[fsck]") {
    const auto block = GENERATE(std::uint64_t{0}, last);
    Image image;
    image.write();
    image.at<format::Superblock>(block, format::superblock_offset).reserved[9] = std::byte{1};
    expect_only(image, Subject::superblock, "wrong checksum");
    image.at<format::Superblock>(block, format::superblock_offset).magic = 1;
    expect_only(image, Subject::superblock, "wrong magic");
}

TEST_CASE("superblock: another volume's copy is none", "[fsck]") {
    const auto block = GENERATE(std::uint64_t{0}, last);
    Image image;
    image.write();
    image.superblock.volume_uuid[0] ^= std::byte{1};
    image.superblock.crc = 0;
    image.superblock.crc = crc32c(bytes_of(image.superblock));
    image.at<format::Superblock>(block, format::superblock_offset) = image.superblock;
    expect_only(image, Subject::superblock, "is of another volume");
}

TEST_CASE("superblock: copies that differ are found", "[fsck]") {
    Image image;
    image.write();
    image.superblock.compat = 1;
    image.superblock.crc = 0;
    image.superblock.crc = crc32c(bytes_of(image.superblock));
    image.at<format::Superblock>(last, format::superblock_offset) = image.superblock;
    expect_only(image, Subject::superblock, "differ");
}

TEST_CASE("superblock: without a valid copy nothing else is looked at", "[fsck]") {
    Image image;
    image.write();
    image.at<format::Superblock>(0, format::superblock_offset).magic = 1;
    image.at<format::Superblock>(last, format::superblock_offset).magic = 1;
    const auto report = image.check();
    CHECK(report.errors == 2);
    CHECK(report.counts.nodes == 0);
}

TEST_CASE("superblock: another format version is refused", "[fsck]") {
    auto image = changed([](auto &superblock) { superblock.format_version = 2; });
    expect_error(image, Subject::superblock, "another format version");
}

TEST_CASE("feature: unknown bits stop the check, compatible ones do not", "[fsck]") {
    auto incompat = changed([](auto &superblock) { superblock.incompat = 4; });
    expect_only(incompat, Subject::feature, "incompatible features 4");
    auto ro_compat = changed([](auto &superblock) { superblock.ro_compat = 2; });
    expect_only(ro_compat, Subject::feature, "read-only compatible features 2");
    auto compat = changed([](auto &superblock) { superblock.compat = 2; });
    expect_clean(compat);
}

TEST_CASE("superblock: regions must lie on device 0", "[fsck]") {
    auto block_bytes = changed([](auto &s) { s.block_bytes = 512; });
    expect_error(block_bytes, Subject::superblock, "impossible fields");
    auto devices = changed([](auto &s) { s.device_count = 2; });
    expect_error(devices, Subject::superblock, "number of devices");
    auto ring = changed([](auto &s) { s.ring_start = 250; });
    expect_error(ring, Subject::superblock, "ring is not on device 0");
    auto small_ring = changed([](auto &s) { s.ring_blocks = 8; });
    expect_error(small_ring, Subject::superblock, "ring is too small");
    auto cell = changed([](auto &s) { s.tail_cell_b = s.tail_cell_a; });
    expect_error(cell, Subject::superblock, "tail cells");
    auto groups = changed([](auto &s) { s.devices[0].group_count = 2; });
    expect_error(groups, Subject::superblock, "number of bitmap chunks");
    auto bitmaps = changed([](auto &s) { s.devices[0].bitmap_start = 256; });
    expect_error(bitmaps, Subject::superblock, "bitmap chunks of a device");
    auto root = changed([](auto &s) { s.root = 256; });
    expect_error(root, Subject::superblock, "root is not on device 0");
}

TEST_CASE("ownership: regions that overlap are found", "[fsck]") {
    auto image = changed([](auto &s) { s.devices[0].bitmap_start = Image::cell_b; });
    expect_error(image, Subject::ownership, "bitmap chunks");
}

TEST_CASE("device table: a label that tells another story is found", "[fsck]") {
    auto volume = relabelled(1, [](auto &label) { label.volume_uuid[0] = std::byte{0}; });
    expect_only(volume, Subject::device_table, "another volume");
    auto uuid = relabelled(1, [](auto &label) { label.device_uuid[0] = std::byte{0}; });
    expect_only(uuid, Subject::device_table, "device UUID");
    auto index = relabelled(1, [](auto &label) { label.index = 2; });
    expect_only(index, Subject::device_table, "another index");
    auto count = relabelled(0, [](auto &label) { label.device_count = 2; });
    expect_only(count, Subject::device_table, "another number of devices");
    auto role = relabelled(0, [](auto &label) {
        label.device_count = 1;
        label.role = 3;
    });
    expect_error(role, Subject::device_table, "another role");
    auto unit = relabelled(1, [](auto &label) { label.mapping_unit = 8192; });
    expect_only(unit, Subject::device_table, "another mapping unit");
    auto size = relabelled(1, [](auto &label) { label.block_count = 255; });
    expect_error(size, Subject::device_table, "another size");
}

TEST_CASE("device table: impossible devices are found", "[fsck]") {
    auto role = changed([](auto &s) { s.devices[1].role = 1; }, 1);
    expect_error(role, Subject::device_table, "impossible role");
    auto both = changed([](auto &s) { s.devices[0].role = 3; }, 1);
    expect_error(both, Subject::device_table, "impossible role");
    auto only = changed([](auto &s) { s.devices[0].role = 1; });
    expect_error(only, Subject::device_table, "impossible role");
    auto unit = changed([](auto &s) { s.devices[0].mapping_unit = 12288; });
    expect_error(unit, Subject::device_table, "mapping unit is not a power of two");
    auto size = changed(
        [](auto &s) {
            s.devices[1].block_count = 257;
            s.devices[1].group_count = 1;
        },
        1);
    expect_error(size, Subject::device_table, "shorter than the superblock says");
}
