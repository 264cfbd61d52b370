// SPDX-License-Identifier: BSD-3-Clause
//
// Bad blocks at places that nothing can go round, and in what the journal names. They take new
// bytes only by Device::rewrite().
#include "support/test_env.h"
#include "unit/repair/harness.h"
#include "volume/volume.h"

#include <algorithm>

using namespace daxpin;
using namespace daxpin::test;
using fsck::Subject;
using repair::Level;

namespace {

void spoil(Image &image, std::uint64_t block, unsigned device = 0) {
    image.media(device).heal_on_rewrite(true);
    image.media(device).poison(block * block_size, block_size);
}

bool is_healed(Image &image, unsigned device = 0) {
    return image.media(device).poison().length == 0;
}

// The first bytes of a block as they are: a record of them changes nothing.
Image::Entry same_bytes(Image &image, std::uint64_t block) {
    const auto bytes = image.block(block).first(24);
    return {block, 0, {bytes.begin(), bytes.end()}};
}

void expect_repaired(Image &image, Level level = Level::all) {
    const auto found = image.check();
    INFO(text_of(found));
    CHECK_FALSE(found.clean());
    const auto outcome = repair_media(image.all_media(), level);
    INFO(text_of(outcome));
    CHECK(outcome.failed.empty());
    CHECK(image.check().clean());
    expect_mountable(image.all_media());
}

// Of a record that names a bad block the mount says what to do, and fsck does it.
void expect_told_and_repaired(Image &image) {
    TestEnv env;
    const auto opened = volume::Volume::open(open_table(image.all_media()), env, {});
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.code() == Errc::corrupt);
    CHECK(opened.error().text.find("fsck.daxpinfs") != std::string::npos);
    expect_repaired(image);
}

} // namespace

TEST_CASE("media: a bad block in an empty ring is made good", "[repair]") {
    const auto at = GENERATE(std::uint64_t{0}, std::uint64_t{3}, Image::ring_blocks - 1);
    Image image;
    image.write();
    const auto wanted = content_of(image.all_media());
    spoil(image, Image::ring_start + at);
    CHECK(repair_media(image.all_media(), Level::safe).done.empty());
    expect_repaired(image);
    CHECK(is_healed(image));
    CHECK(content_of(image.all_media()) == wanted);
}

TEST_CASE("media: with a bad block in the ring its records go home", "[repair]") {
    Image image;
    image.write();
    const auto wanted = content_of(image.all_media());
    const auto leaf = image.block(image.nodes[0][1]);
    image.append_record({{image.nodes[0][1], 0, {leaf.begin(), leaf.end()}}});
    std::ranges::fill(leaf.subspan(100, 300), std::byte{0x77});
    spoil(image, Image::ring_start + 20);
    expect_repaired(image);
    CHECK(is_healed(image));
    CHECK(content_of(image.all_media()) == wanted);
}

TEST_CASE("media: a ring that stays bad is said to be, and nothing is lost", "[repair]") {
    Image image;
    image.write();
    const auto wanted = content_of(image.all_media());
    spoil(image, Image::ring_start + 5);
    image.media().heal_on_rewrite(false);
    const auto outcome = repair_media(image.all_media());
    INFO(text_of(outcome));
    CHECK_FALSE(outcome.failed.empty());
    CHECK(outcome.done.empty());
    CHECK(content_of(image.all_media()) == wanted);
}

TEST_CASE("media: a bad unit that records name is told by the mount and mended", "[repair]") {
    Image image;
    image.write();
    SECTION("a bitmap chunk") {
        const auto wanted = content_of(image.all_media());
        const std::uint64_t chunk = image.superblock.devices[0].bitmap_start;
        image.append_record({same_bytes(image, chunk)});
        spoil(image, chunk);
        expect_told_and_repaired(image);
        CHECK(is_healed(image));
        CHECK(content_of(image.all_media()) == wanted);
    }
    SECTION("a leaf") {
        image.append_record({same_bytes(image, image.nodes[0][1])});
        spoil(image, image.nodes[0][1]);
        expect_told_and_repaired(image);
    }
    SECTION("the root") {
        const auto wanted = content_of(image.all_media());
        image.append_record({same_bytes(image, image.superblock.root)});
        spoil(image, image.superblock.root);
        expect_told_and_repaired(image);
        CHECK(content_of(image.all_media()) == wanted);
    }
}

TEST_CASE("media: a bad unit that is nobody's any more, but in the journal", "[repair]") {
    constexpr std::uint64_t block = Image::blocks - 6;
    const bool readable = GENERATE(false, true);
    const bool listed = GENERATE(false, true);
    CAPTURE(readable, listed);
    Image image;
    if (listed) {
        format::BadBlockItem item{};
        item.source = 1;
        item.flags = format::bad_block_flag_unowned;
        image.items[Image::key(format::bad_block_table, format::ItemType::bad_block, block)] =
            bytes_of(item);
        image.set_used(0, block, true);
    }
    image.write();
    const auto wanted = content_of(image.all_media());
    image.append_record({same_bytes(image, block)});
    if (!readable)
        spoil(image, block);
    const auto found = image.check();
    CHECK(found.errors == 1);
    CHECK((readable ? has(found, Subject::ring, "wrong checksum in block 0:250")
                    : has(found, Subject::media, "change block 0:250, which cannot be read")));
    expect_told_and_repaired(image);
    CHECK(content_of(image.all_media()) == wanted);
}

TEST_CASE("media: a bad bitmap chunk is made anew where it stands", "[repair]") {
    Image image;
    image.write();
    const auto wanted = content_of(image.all_media());
    spoil(image, image.superblock.devices[0].bitmap_start);
    expect_repaired(image, Level::safe);
    CHECK(is_healed(image));
    CHECK(content_of(image.all_media()) == wanted);
}

TEST_CASE("media: of a bad root nothing below is lost", "[repair]") {
    Image image;
    image.write();
    const auto wanted = content_of(image.all_media());
    spoil(image, image.superblock.root);
    expect_repaired(image);
    CHECK(is_healed(image));
    CHECK(content_of(image.all_media()) == wanted);
}

TEST_CASE("media: copies of label and superblock are made anew in a bad block", "[repair]") {
    const unsigned device = GENERATE(0u, 1u);
    const std::uint64_t block = GENERATE(std::uint64_t{0}, Image::blocks - 1);
    Image image(1);
    image.write();
    const auto whole = clones(image.all_media());
    spoil(image, block, device);
    expect_repaired(image, Level::safe);
    CHECK(is_healed(image, device));
    const std::size_t bytes = device == 0 ? format::superblock_offset + sizeof(format::Superblock)
                                          : sizeof(format::DeviceLabel);
    const auto was = whole[device]->bytes().subspan(block * block_size, bytes);
    CHECK(std::ranges::equal(was, image.block(block, device).first(bytes)));
}
