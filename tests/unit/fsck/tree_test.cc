// SPDX-License-Identifier: BSD-3-Clause
#include "unit/fsck/expect.h"

#include <algorithm>

using namespace daxpin;
using namespace daxpin::test;
using format::InnerEntry;
using format::LeafSlot;
using format::NodeHeader;

namespace {

constexpr std::size_t slots = sizeof(NodeHeader);

struct TreeImage : Image {
    TreeImage() {
        write();
        REQUIRE(nodes.size() >= 3);
    }
    std::uint64_t leaf() const { return nodes[0][1]; }
    std::uint64_t inner() const { return nodes[1][1]; }
    NodeHeader &header(std::uint64_t node) { return at<NodeHeader>(node); }
    LeafSlot &slot(unsigned index) {
        return at<LeafSlot>(leaf(), slots + index * sizeof(LeafSlot));
    }
    InnerEntry &child(std::uint64_t node, unsigned index) {
        return at<InnerEntry>(node, slots + index * sizeof(InnerEntry));
    }
    void expect(std::uint64_t node, std::string_view part) {
        seal_unit(block(node));
        expect_error(*this, Subject::node, part);
    }
};

} // namespace

TEST_CASE("node: every flipped bit is found", "[fsck]") {
    TreeImage image;
    for (const auto node : {image.leaf(), image.inner(), image.superblock.root.get()}) {
        for (std::size_t i = 0; i < block_size; i += 13) {
            image.block(node)[i] ^= std::byte{1} << (i % 8);
            CHECK(has(image.check(), Subject::node, "wrong checksum"));
            image.block(node)[i] ^= std::byte{1} << (i % 8);
        }
    }
}

TEST_CASE("node: an unreadable one is found, the rest is checked", "[fsck]") {
    TreeImage image;
    image.media().poison(image.leaf() * block_size + 128, 64);
    expect_only(image, Subject::media, "tree node");
    CHECK(image.check().counts.inodes > 1);
}

TEST_CASE("node: header fields are checked", "[fsck]") {
    TreeImage image;
    SECTION("magic") {
        image.header(image.leaf()).magic = 1;
        image.expect(image.leaf(), "wrong magic");
    }
    SECTION("self address") {
        image.header(image.leaf()).self = image.inner();
        image.expect(image.leaf(), "says that it is block");
    }
    SECTION("level that is not the parent's less one") {
        image.header(image.inner()).level = 2;
        image.expect(image.inner(), "level 2 where 1 belongs");
    }
    SECTION("impossible level") {
        image.header(image.superblock.root).level = 60000;
        image.expect(image.superblock.root, "impossible level");
    }
    SECTION("inner node without a child") {
        image.header(image.inner()).count = 0;
        image.expect(image.inner(), "without a child");
    }
    SECTION("more children than fit") {
        image.header(image.inner()).count = 170;
        image.expect(image.inner(), "more children than fit");
    }
    SECTION("empty leaf that is not the root") {
        image.header(image.leaf()).count = 0;
        image.header(image.leaf()).heap_dead =
            static_cast<std::uint16_t>(block_size - image.header(image.leaf()).heap_start);
        image.expect(image.leaf(), "empty leaf");
    }
}

TEST_CASE("node: keys are in order and in the parent's range", "[fsck]") {
    TreeImage image;
    SECTION("slots out of order") {
        std::swap(image.slot(0), image.slot(1));
        image.expect(image.leaf(), "keys out of order at slot 1");
    }
    SECTION("equal keys") {
        auto &second = image.at<format::Key>(image.leaf(), image.slot(1).offset);
        second = image.at<format::Key>(image.leaf(), image.slot(0).offset);
        image.expect(image.leaf(), "keys out of order at slot 1");
    }
    SECTION("children out of order") {
        std::swap(image.child(image.inner(), 1), image.child(image.inner(), 2));
        image.expect(image.inner(), "keys out of order at child 2");
    }
    SECTION("key below the range") {
        image.at<format::Key>(image.leaf(), image.slot(0).offset).inode = 0;
        image.expect(image.leaf(), "outside the range");
    }
    SECTION("key above the range") {
        image.at<format::Key>(image.leaf(), image.slot(3).offset).inode = 999;
        image.expect(image.leaf(), "outside the range");
    }
    SECTION("an inner node's first key below what its parent gives it") {
        auto &first = image.child(image.inner(), 0).key.inode;
        first = first - 1;
        image.expect(image.inner(), "outside the range");
    }
    SECTION("an inner node's first key is no bound") {
        image.child(image.superblock.root, 0).key.place = 1;
        auto &first = image.child(image.inner(), 0).key.place;
        first = first + 1;
        image.seal_unit(image.block(image.superblock.root));
        image.seal_unit(image.block(image.inner()));
        expect_clean(image);
    }
}

TEST_CASE("node: slots, heap and dead bytes fit together", "[fsck]") {
    TreeImage image;
    SECTION("slots over the heap") {
        image.header(image.leaf()).count = 1000;
        image.expect(image.leaf(), "slots and heap overlap");
    }
    SECTION("heap beyond the block") {
        image.header(image.leaf()).heap_start = 4104;
        image.expect(image.leaf(), "slots and heap overlap");
    }
    SECTION("item before the heap") {
        image.slot(0).offset = 1024;
        image.expect(image.leaf(), "leads outside the heap");
    }
    SECTION("item beyond the block") {
        image.slot(0).length = 4000;
        image.expect(image.leaf(), "leads outside the heap");
    }
    SECTION("item not at a multiple of 8") {
        image.slot(0).offset = static_cast<std::uint16_t>(image.slot(0).offset + 4);
        image.expect(image.leaf(), "leads outside the heap");
    }
    SECTION("item shorter than a key") {
        image.slot(0).length = 15;
        image.expect(image.leaf(), "leads outside the heap");
    }
    SECTION("items over each other") {
        image.slot(0) = image.slot(1);
        image.expect(image.leaf(), "lies over another");
    }
    SECTION("dead bytes that are not there") {
        image.header(image.leaf()).heap_dead = 8;
        image.expect(image.leaf(), "dead bytes 8, found 0");
    }
}

TEST_CASE("node: pointers lead to blocks of their own on device 0", "[fsck]") {
    TreeImage image;
    const std::uint64_t root = image.superblock.root;
    SECTION("beyond the device") {
        image.child(root, 1).child = Image::blocks;
        Image::seal_unit(image.block(root));
        expect_error(image, Subject::ownership, "not on the metadata device");
    }
    SECTION("on another device") {
        image.child(root, 1).child = MediaBlock::at(3, 60).value;
        Image::seal_unit(image.block(root));
        expect_error(image, Subject::ownership, "not on the metadata device");
    }
    SECTION("to a node reached before: no unit is reached twice") {
        image.child(root, 1).child = image.child(root, 0).child;
        Image::seal_unit(image.block(root));
        expect_error(image, Subject::ownership, "belongs to something else");
    }
    SECTION("to itself: a cycle ends") {
        image.child(root, 1).child = root;
        Image::seal_unit(image.block(root));
        expect_error(image, Subject::ownership, "belongs to something else");
    }
    SECTION("into the ring") {
        image.child(root, 1).child = Image::ring_start + 1;
        Image::seal_unit(image.block(root));
        expect_error(image, Subject::ownership, "belongs to something else");
    }
}

TEST_CASE("node: an older copy of a whole block is found by what contradicts it", "[fsck]") {
    const auto inode = Image::key(Image::removed, format::ItemType::inode);
    const auto work =
        Image::key(format::unfinished_table, format::ItemType::unfinished, Image::removed);
    Image older;
    older.write();
    Image image; // the number was used again
    image.change_inode(Image::removed, [](auto &item) { item.generation = 78; });
    image.change<format::UnfinishedItem>(work, [](auto &item) { item.generation = 78; });
    image.write();
    expect_clean(image);
    const auto leaf = older.find(inode).first;
    REQUIRE(leaf != older.find(work).first);
    std::ranges::copy(older.block(leaf), image.block(leaf).begin());
    expect_only(image, Subject::unfinished, "another generation");
}

TEST_CASE("bitmap: header, count and every direction of a wrong bit", "[fsck]") {
    Image image(1);
    image.write();
    const std::uint64_t chunk = image.superblock.devices[1].bitmap_start;
    auto &header = image.at<format::BitmapHeader>(chunk);
    const auto flip = [&](std::uint64_t number) {
        image.block(chunk)[format::bitmap_header_bytes + number / 8] ^= std::byte{1}
                                                                        << (number % 8);
    };
    const auto count = [&](int change) { header.free_count = header.free_count + change; };
    SECTION("checksum") {
        flip(200);
        expect_only(image, Subject::bitmap, "wrong checksum");
    }
    SECTION("unreadable") {
        image.media().poison(chunk * block_size + 4032, 64);
        expect_only(image, Subject::media, "bitmap chunk 0 of device 1");
    }
    SECTION("magic") {
        header.magic = 0;
        Image::seal_unit(image.block(chunk));
        expect_only(image, Subject::bitmap, "wrong magic");
    }
    SECTION("device") {
        header.device = 0;
        Image::seal_unit(image.block(chunk));
        expect_only(image, Subject::bitmap, "device or group");
    }
    SECTION("group") {
        header.group = 1;
        Image::seal_unit(image.block(chunk));
        expect_only(image, Subject::bitmap, "device or group");
    }
    SECTION("free count") {
        count(1);
        Image::seal_unit(image.block(chunk));
        expect_only(image, Subject::bitmap, "free count");
    }
    SECTION("leaked block") {
        flip(200);
        count(-1);
        Image::seal_unit(image.block(chunk));
        expect_only(image, Subject::bitmap, "1 blocks marked in use but nobody's, the first 1:200");
    }
    SECTION("block in use but free") {
        flip(MediaBlock{image.file_blocks}.block());
        count(1);
        Image::seal_unit(image.block(chunk));
        expect_only(image, Subject::bitmap, "in use but marked free");
    }
    SECTION("beyond the device") {
        flip(Image::blocks);
        count(1);
        Image::seal_unit(image.block(chunk));
        expect_only(image, Subject::bitmap, "beyond the device but marked free");
    }
}
