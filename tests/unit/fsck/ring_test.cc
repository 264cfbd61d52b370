// SPDX-License-Identifier: BSD-3-Clause
#include "unit/fsck/expect.h"

using namespace daxpin;
using namespace daxpin::test;

namespace {

struct WrittenImage : Image {
    WrittenImage() { write(); }
};

// A record that changes nothing: it stores what is there.
Image::Entry same_bytes(Image &image) {
    const std::uint64_t root = image.superblock.root;
    const auto bytes = image.block(root).subspan(512, 8);
    return {root, 512, {bytes.begin(), bytes.end()}};
}

// A record of `length` bytes in all, about.
std::vector<Image::Entry> filler(Image &image, std::size_t length) {
    std::vector<Image::Entry> entries;
    for (std::size_t done = 64; done + 24 <= length; done += 24)
        entries.push_back(same_bytes(image));
    return entries;
}

constexpr auto note = Severity::note;

} // namespace

TEST_CASE("tail cell: one copy torn, or the first ahead, is a note", "[fsck]") {
    WrittenImage image;
    image.at<format::TailCell>(Image::cell_a).counter = 6;
    auto report = image.check();
    CHECK(report.clean());
    CHECK(has(report, Subject::tail_cell, "block 1 has a wrong checksum", note));
    image.write_cell(Image::cell_a, 6, image.head);
    report = image.check();
    CHECK(report.clean());
    CHECK(has(report, Subject::tail_cell, "ahead of the second", note));
    image.write_cell(Image::cell_a, 6, image.head + 1);
    CHECK(has(image.check(), Subject::tail_cell, "impossible fields", note));
    image.at<format::TailCell>(Image::cell_a).magic = 0;
    CHECK(has(image.check(), Subject::tail_cell, "wrong magic", note));
}

TEST_CASE("tail cell: a tail so large that sums overflow is an error", "[fsck]") {
    WrittenImage image;
    for (const std::uint64_t tail : {std::uint64_t{0} - 64, std::uint64_t{1} << 63}) {
        image.write_cell(Image::cell_b, 5, image.head);
        image.write_cell(Image::cell_a, 6, tail);
        CHECK(has(image.check(), Subject::tail_cell, "impossible fields", note));
        image.write_cell(Image::cell_b, 6, tail);
        expect_error(image, Subject::tail_cell, "both");
    }
}

TEST_CASE("tail cell: copies that no crash leaves are an error", "[fsck]") {
    WrittenImage image;
    image.write_cell(Image::cell_b, 6, image.head);
    expect_only(image, Subject::tail_cell, "contradict");
    image.write_cell(Image::cell_b, 5, image.head + 64);
    expect_only(image, Subject::tail_cell, "contradict");
    image.write_cell(Image::cell_b, 3, image.head);
    expect_only(image, Subject::tail_cell, "contradict");
}

TEST_CASE("tail cell: the loss of both, and poison, are errors", "[fsck]") {
    WrittenImage image;
    image.media().poison(Image::cell_b * block_size, 64);
    expect_only(image, Subject::media, "tail cell in block 34");
    image.media().poison(0, 0);
    image.at<format::TailCell>(Image::cell_a).crc = 0;
    image.at<format::TailCell>(Image::cell_b).crc = 0;
    expect_error(image, Subject::tail_cell, "both");
}

TEST_CASE("ring: records are laid over the homes, or not if so asked", "[fsck]") {
    Image image;
    image.change_inode(Image::file, [](auto &inode) { inode.link_count = 9; });
    image.write();
    expect_error(image, Subject::link_count, "inode 16: link count 9, entries that lead to it 2");
    // The record puts it right: the field and the leaf's checksum.
    const auto [leaf, slot] = image.find(Image::key(Image::file, format::ItemType::inode));
    const auto where =
        image.at<format::LeafSlot>(leaf, sizeof(format::NodeHeader) + 4 * slot).offset + 16 + 20;
    ImageBytes unit(image.block(leaf).begin(), image.block(leaf).end());
    const auto two = bytes_of(le32(2));
    std::copy(two.begin(), two.end(), unit.begin() + where);
    Image::seal_unit(unit);
    image.append_record({{leaf, static_cast<std::uint16_t>(where), two}});
    image.append_record({{leaf, 0, {unit.begin(), unit.begin() + 4}}});
    expect_clean(image);
    CHECK(image.check().counts.records_replayed == 2);
    fsck::CheckOptions homes_alone;
    homes_alone.replay = false;
    CHECK_FALSE(image.check(homes_alone).clean());
}

TEST_CASE("ring: of two outcomes for the same bytes the later one holds", "[fsck]") {
    WrittenImage image;
    const std::uint64_t root = image.superblock.root;
    image.append_record({{root, 8, bytes_of(le64(1234))}});
    expect_error(image, Subject::node, "wrong checksum");
    image.append_record({{root, 8, bytes_of(le64(root))}});
    expect_clean(image);
}

TEST_CASE("ring: a lost record is damage, a torn last one is the end", "[fsck]") {
    WrittenImage image;
    const auto first = image.append_record({same_bytes(image)});
    const auto second = image.append_record({same_bytes(image)});
    expect_clean(image);
    const auto payload = image.seat(second) + 70;
    image.media().bytes()[payload] ^= std::byte{1};
    expect_clean(image);
    CHECK(image.check().counts.records_replayed == 1);
    image.media().bytes()[payload] ^= std::byte{1};
    image.media().bytes()[image.seat(first) + 70] ^= std::byte{1};
    expect_only(image, Subject::ring, "a record was lost");
    CHECK(image.check().counts.records_replayed == 0);
}

TEST_CASE("ring: records go on at the start when they do not fit before the end", "[fsck]") {
    WrittenImage image;
    const std::uint64_t end = (image.head / Image::ring_bytes + 1) * Image::ring_bytes;
    image.head = image.previous_end = end - 256;
    image.write_cell(Image::cell_a, 5, image.head);
    image.write_cell(Image::cell_b, 5, image.head);
    const auto wrapped = image.append_record(filler(image, 512));
    REQUIRE(wrapped == end);
    expect_clean(image);
    CHECK(image.check().counts.records_replayed == 1);
    SECTION("a torn one behind the skip is the end") {
        image.media().bytes()[image.seat(wrapped) + 200] ^= std::byte{1};
        expect_clean(image);
        CHECK(image.check().counts.records_replayed == 0);
    }
    SECTION("a lost one before the skip is damage") {
        image.previous_end = image.head;
        image.append_record({same_bytes(image)});
        image.media().bytes()[image.seat(wrapped)] ^= std::byte{1};
        expect_only(image, Subject::ring, "a record was lost");
    }
}

TEST_CASE("ring: a record that names another end before it does not follow", "[fsck]") {
    WrittenImage image;
    const auto sequence = image.append_record({same_bytes(image)});
    image.record(sequence).previous_end = sequence - 64;
    image.seal_record(sequence);
    CHECK(image.check().counts.records_replayed == 0);
}

TEST_CASE("ring: records of an older lap or another epoch do not count", "[fsck]") {
    WrittenImage image;
    const std::uint64_t tail = image.head;
    image.head = image.previous_end = tail + 4096 - Image::ring_bytes;
    image.append_record({{image.superblock.root, 8, bytes_of(le64(1))}});
    image.head = image.previous_end = tail + 8192;
    const auto foreign = image.append_record({{image.superblock.root, 8, bytes_of(le64(1))}});
    image.record(foreign).checksum = 12345;
    expect_clean(image);
}

TEST_CASE("ring: an unreadable line is reported, at the stop as damage", "[fsck]") {
    WrittenImage image;
    image.media().poison(image.seat(image.head), 64);
    expect_error(image, Subject::ring, "cannot read the journal");
    image.media().poison(image.seat(image.head + 70000), 64);
    expect_only(image, Subject::media, "cannot read the journal");
}

TEST_CASE("ring: nothing is replayed while a part of it cannot be read", "[fsck]") {
    WrittenImage image;
    image.append_record({same_bytes(image)});
    CHECK(image.check().counts.records_replayed == 1);
    image.media().poison(image.seat(image.head + 70000), 64);
    CHECK(image.check().counts.records_replayed == 0);
}

TEST_CASE("ring: records that no writer makes are damage", "[fsck]") {
    SECTION("entry beyond the block") {
        WrittenImage image;
        image.append_record({{image.superblock.root, 4092, bytes_of(le64(1))}});
        expect_error(image, Subject::ring, "impossible entry");
    }
    SECTION("empty entry") {
        WrittenImage image;
        image.append_record({{image.superblock.root, 0, {}}});
        expect_error(image, Subject::ring, "impossible entry");
    }
    SECTION("more entries than bytes") {
        WrittenImage image;
        const auto sequence = image.append_record({same_bytes(image)});
        image.record(sequence).entry_count = 1000;
        image.seal_record(sequence);
        expect_error(image, Subject::ring, "impossible entry");
    }
}

TEST_CASE("feature: a record of unknown type stops the check, it is no damage", "[fsck]") {
    WrittenImage image;
    format::RecordHeader header{};
    header.type = 2;
    image.append_record({same_bytes(image)}, header);
    image.append_record({same_bytes(image)});
    expect_only(image, Subject::feature, "record of unknown type 2");
    CHECK(image.check().counts.nodes == 0);
}

TEST_CASE("ring: a record names only units of the metadata device", "[fsck]") {
    WrittenImage image;
    SECTION("not data") {
        image.append_record({{image.file_blocks, 0, bytes_of(le64(1))}});
        expect_only(image, Subject::ring, "inode 16");
    }
    SECTION("not the label") {
        image.append_record({{0, 3000, bytes_of(le64(1))}});
        expect_only(image, Subject::ring, "label");
    }
    SECTION("not beyond the device") {
        image.append_record({{Image::blocks, 0, bytes_of(le64(1))}});
        expect_only(image, Subject::ring, "not on the metadata device");
    }
    SECTION("nor far beyond it") {
        image.append_record({{std::uint64_t{1} << 47, 0, bytes_of(le64(1))}});
        expect_only(image, Subject::ring, "not on the metadata device");
    }
    SECTION("not the blocks of a blob") {
        const auto key = image.name_key(Image::file, format::ItemType::xattr, "user.big");
        le64 address;
        std::memcpy(&address, image.items.at(key).data() + 24, sizeof address);
        image.append_record({{address, 0, bytes_of(le64(1))}});
        expect_only(image, Subject::ring, "extended attribute");
    }
}
