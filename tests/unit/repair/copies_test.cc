// SPDX-License-Identifier: BSD-3-Clause
//
// Which copy of label and superblock rules, and when neither is to be written.
#include "unit/repair/harness.h"

#include <algorithm>

using namespace daxpin;
using namespace daxpin::test;
using repair::Level;

// As mkfs over an old volume may leave it: the new one's last block is whole, in the first one
// there is no label yet, and the old one's superblock.
TEST_CASE("repair: the superblock of an earlier volume does not come back", "[repair]") {
    Image image;
    image.write();
    const auto whole = clones(image.all_media());
    auto &superblock = image.at<format::Superblock>(0, format::superblock_offset);
    superblock.volume_uuid[5] ^= std::byte{7};
    superblock.root = superblock.root + 9;
    superblock.crc = 0;
    superblock.crc = crc32c(bytes_of(superblock));
    image.at<format::DeviceLabel>(0).magic = 0;
    const auto outcome = repair_media(image.all_media(), Level::safe);
    INFO(text_of(outcome));
    CHECK(image.check().clean());
    CHECK(std::ranges::equal(whole[0]->bytes(), image.media().bytes()));
    expect_mountable(image.all_media());
}

TEST_CASE("repair: an illegal label does not rule, wherever it says it ends", "[repair]") {
    Image image;
    image.write();
    const auto whole = clones(image.all_media());
    auto &label = image.at<format::DeviceLabel>(0);
    label.role = 0;
    label.block_count = std::uint64_t{1} << 40;
    label.crc = 0;
    label.crc = crc32c(bytes_of(label));
    const auto outcome = repair_media(image.all_media(), Level::safe);
    INFO(text_of(outcome));
    CHECK(image.check().clean());
    CHECK(std::ranges::equal(whole[0]->bytes(), image.media().bytes()));
}

TEST_CASE("repair: putting a label right does not touch superblocks that differ", "[repair]") {
    Image image;
    image.write();
    image.superblock.compat = 1;
    image.superblock.crc = 0;
    image.superblock.crc = crc32c(bytes_of(image.superblock));
    auto &second = image.at<format::Superblock>(Image::blocks - 1, format::superblock_offset);
    second = image.superblock;
    image.at<format::DeviceLabel>(0).text[3] ^= 1;
    const auto outcome = repair_media(image.all_media(), Level::safe);
    INFO(text_of(outcome));
    CHECK(outcome.done.size() == 1);
    CHECK(second.compat == 1);
    CHECK(has(image.check(), fsck::Subject::superblock, "differ"));
}

TEST_CASE("repair: what a newer version wrote is left alone", "[repair]") {
    Image image;
    const bool readable = GENERATE(false, true);
    (readable ? image.superblock.ro_compat : image.superblock.incompat) = 4;
    image.write();
    const bool damaged = GENERATE(false, true);
    if (damaged) {
        image.at<format::DeviceLabel>(Image::blocks - 1).text[3] ^= 1;
        image.at<format::Superblock>(0, format::superblock_offset).root = 99;
    }
    const auto level = GENERATE(Level::safe, Level::all);
    const auto before = clones(image.all_media());
    const auto outcome = repair_media(image.all_media(), level);
    CHECK(has(outcome.after, fsck::Subject::feature, "compatible"));
    CHECK(outcome.done.empty());
    CHECK(std::ranges::equal(before[0]->bytes(), image.media().bytes()));
}
