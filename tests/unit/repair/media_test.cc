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
