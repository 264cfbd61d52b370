// SPDX-License-Identifier: BSD-3-Clause
#include "unit/fsck/expect.h"

#include <algorithm>
#include <sys/stat.h>

using namespace daxpin;
using namespace daxpin::test;
using format::InodeItem;
using format::ItemType;

namespace {

// Changes one inode of the default content and writes the image.
template <typename Change> Image with_inode(std::uint64_t number, Change &&change) {
    Image image;
    image.change_inode(number, change);
    image.write();
    return image;
}

template <typename Change> Image with_items(Change &&change) {
    Image image;
    change(image);
    image.write();
    return image;
}

} // namespace

TEST_CASE("inode: attributes with impossible values are found", "[fsck]") {
    auto type = with_inode(Image::file, [](InodeItem &item) { item.mode = 0170644; });
    expect_error(type, Subject::inode, "inode 16: impossible mode");
    auto bits = with_inode(Image::file, [](InodeItem &item) { item.mode = 0x80000000 | 0100644; });
    expect_error(bits, Subject::inode, "inode 16: impossible mode");
    auto flags = with_inode(Image::file, [](InodeItem &item) { item.flags = 64; });
    expect_only(flags, Subject::inode, "unknown flags 64");
    auto size =
        with_inode(Image::file, [](InodeItem &item) { item.size = std::uint64_t{1} << 63; });
    expect_only(size, Subject::inode, "impossible size");
    auto align = with_inode(Image::file, [](InodeItem &item) { item.align_hint = 12288; });
    expect_only(align, Subject::inode, "impossible alignment");
}

TEST_CASE("finding: one about an inode has a path that leads there", "[fsck]") {
    const auto path_of = [](Image image, std::uint64_t inode) -> std::string {
        const auto report = image.check();
        INFO(text_of(report));
        const auto found = std::ranges::find(report.findings, inode, &fsck::Finding::inode);
        REQUIRE(found != report.findings.end());
        return found->path;
    };
    const auto flags = [](InodeItem &item) { item.flags = 64; };
    CHECK(path_of(with_inode(Image::deep, flags), Image::deep) == "/sub/deep");
    CHECK(path_of(with_inode(Image::link, flags), Image::link) == "/sub/link");
    CHECK(path_of(with_inode(format::root_inode, flags), format::root_inode) == "/");
    const auto either = path_of(with_inode(Image::file, flags), Image::file);
    CHECK((either == "/file" || either == "/sub/other"));
    CHECK(path_of(with_inode(Image::removed, flags), Image::removed).empty());
    // An entry that leads nowhere: the directory that has it.
    auto entry = with_items([](Image &image) { image.put_entry(Image::sub, "x", 500, S_IFREG); });
    CHECK(path_of(entry, Image::sub) == "/sub");
    // Parents in a circle: none leads to the root.
    auto cycle = with_items([](Image &image) {
        image.items.erase(image.name_key(format::root_inode, ItemType::dirent, "sub"));
        image.put_entry(Image::deep, "sub", Image::sub, S_IFDIR);
        image.change_inode(Image::sub, [](InodeItem &item) { item.parent = Image::deep; });
    });
    CHECK(path_of(cycle, Image::sub).empty());
}

TEST_CASE("inode: items must have the size and the place of their type", "[fsck]") {
    auto size = with_items(
        [](Image &image) { image.items[Image::key(Image::deep, ItemType::inode)].resize(152); });
    expect_error(size, Subject::inode, "inode item of impossible place or size");
    auto place = with_items([](Image &image) {
        const auto old = image.items.extract(Image::key(Image::deep, ItemType::inode));
        image.items[Image::key(Image::deep, ItemType::inode, 1)] = old.mapped();
    });
    expect_error(place, Subject::inode, "inode item of impossible place or size");
    auto type = with_items([](Image &image) {
        image.items[{Image::file, std::uint64_t{9} << 60}] = {std::byte{1}};
    });
    expect_only(type, Subject::inode, "impossible type 9");
}

TEST_CASE("inode: items without an inode, or under a reserved number, are found", "[fsck]") {
    auto orphan = with_items([](Image &image) {
        image.put_inode(40, S_IFREG, 1, 0);
        image.put_extent(40, 0, image.allocate(0), 1);
        image.items.erase(Image::key(40, ItemType::inode));
    });
    expect_only(orphan, Subject::inode, "inode 40: items without an inode");
    const auto number = GENERATE(std::uint64_t{0}, std::uint64_t{6}, format::inode_max + 1);
    auto reserved = with_items([&](Image &image) { image.put_inode(number, S_IFREG, 0, 0); });
    expect_error(reserved, Subject::inode, "reserved inode number");
}

TEST_CASE("inode: the root must be a directory and its own parent", "[fsck]") {
    auto missing = with_items(
        [](Image &image) { image.items.erase(Image::key(format::root_inode, ItemType::inode)); });
    expect_error(missing, Subject::inode, "the root directory is missing");
    auto type = with_inode(format::root_inode, [](InodeItem &item) { item.mode = S_IFREG; });
    expect_error(type, Subject::inode, "is not a directory");
    auto parent = with_inode(format::root_inode, [](InodeItem &item) { item.parent = Image::sub; });
    expect_only(parent, Subject::directory, "inode 1, the root, has parent 17");
}

TEST_CASE("directory: size and links count what is in it", "[fsck]") {
    auto size = with_inode(Image::sub, [](InodeItem &item) { item.size = 4; });
    expect_only(size, Subject::directory, "inode 17: size 4, entries 3");
    auto links = with_inode(Image::sub, [](InodeItem &item) { item.link_count = 4; });
    expect_only(links, Subject::link_count, "link count 4, subdirectories 1");
    auto parent = with_inode(Image::deep, [](InodeItem &item) { item.parent = 0; });
    expect_error(parent, Subject::directory, "impossible parent 0");
}

TEST_CASE("directory: the parent is the one that has the entry", "[fsck]") {
    auto image = with_inode(Image::deep, [](InodeItem &item) { item.parent = 1; });
    expect_only(image, Subject::directory, "entry 'deep': directory 22 says that its parent is 1");
}

TEST_CASE("directory: has one entry", "[fsck]") {
    auto image = with_items([](Image &i) {
        i.put_entry(1, "again", Image::deep, S_IFDIR);
        i.change_inode(1, [](InodeItem &item) {
            item.size = item.size + 1;
            item.link_count = item.link_count + 1;
        });
    });
    expect_error(image, Subject::directory, "a second entry for directory 22");
    auto root = with_items([](Image &i) {
        i.put_entry(Image::deep, "up", 1, S_IFDIR);
        i.change_inode(Image::deep, [](InodeItem &item) {
            item.size = 1;
            item.link_count = 3;
        });
    });
    expect_error(root, Subject::entry, "leads to the root");
}

TEST_CASE("directory: cycles and directories out of reach are found", "[fsck]") {
    auto cycle = with_items([](Image &image) {
        image.items.erase(image.name_key(1, ItemType::dirent, "sub"));
        image.put_entry(Image::deep, "sub", Image::sub, S_IFDIR);
        image.change_inode(1, [](InodeItem &item) {
            item.size = 3;
            item.link_count = 2;
        });
        image.change_inode(Image::deep, [](InodeItem &item) {
            item.size = 1;
            item.link_count = 3;
        });
        image.change_inode(Image::sub, [](InodeItem &item) { item.parent = Image::deep; });
    });
    expect_only(cycle, Subject::directory, "cycle");
    auto lost = with_items([](Image &image) {
        image.items.erase(image.name_key(Image::sub, ItemType::dirent, "deep"));
        image.change_inode(Image::sub, [](InodeItem &item) {
            item.size = 2;
            item.link_count = 2;
        });
        image.change_inode(Image::deep, [](InodeItem &item) { item.parent = 999; });
    });
    expect_error(lost, Subject::link_count, "inode 22: link count 2, entries that lead to it 0");
    expect_error(lost, Subject::directory, "cannot be reached");
}

TEST_CASE("directory: a removed one is empty", "[fsck]") {
    auto image = with_items([](Image &i) {
        i.items.erase(i.name_key(1, ItemType::dirent, "sub"));
        i.change_inode(1, [](InodeItem &item) {
            item.size = 3;
            item.link_count = 2;
        });
        i.change_inode(Image::sub, [](InodeItem &item) { item.link_count = 0; });
        auto work = i.items.at(Image::key(2, ItemType::unfinished, Image::removed));
        i.items[Image::key(2, ItemType::unfinished, Image::sub)] = work;
    });
    expect_error(image, Subject::directory, "removed but not empty");
}

TEST_CASE("entry: leads to an inode of the same generation and type", "[fsck]") {
    const auto with_entry = [](auto &&change) {
        Image image;
        image.change<format::DirentItem>(image.name_key(1, ItemType::dirent, "cut"), change);
        image.write();
        return image;
    };
    auto target = with_entry([](format::DirentItem &item) { item.inode = 500; });
    expect_error(target, Subject::entry, "entry 'cut': leads to inode 500, which does not exist");
    auto generation = with_entry([](format::DirentItem &item) { item.generation = 1; });
    expect_only(generation, Subject::entry, "entry 'cut': another generation than inode 21");
    auto type = with_entry([](format::DirentItem &item) { item.type = 2; });
    expect_only(type, Subject::entry, "entry 'cut': another type than inode 21");
    auto length = with_entry([](format::DirentItem &item) { item.name_length = 2; });
    expect_error(length, Subject::entry, "entry of impossible length");
    auto empty = with_entry([](format::DirentItem &item) { item.name_length = 0; });
    expect_error(empty, Subject::entry, "entry of impossible length");
    auto short_item = with_items(
        [](Image &image) { image.items[image.name_key(1, ItemType::dirent, "cut")].resize(20); });
    expect_error(short_item, Subject::entry, "entry of impossible size");
}

TEST_CASE("entry: names are possible ones", "[fsck]") {
    for (const std::string_view name : {std::string_view("."), std::string_view(".."),
                                        std::string_view("a/b"), std::string_view("a\0b", 3)}) {
        auto image = with_items([&](Image &i) {
            i.items.erase(i.name_key(1, ItemType::dirent, "cut"));
            i.put_entry(1, name, Image::cut, S_IFREG);
        });
        expect_only(image, Subject::entry, "impossible name");
    }
}

TEST_CASE("entry: the key is the hash of the name under the volume's key", "[fsck]") {
    auto image = with_items([](Image &i) {
        const auto key = i.name_key(1, ItemType::dirent, "cut");
        const auto entry = i.items.extract(key);
        i.items[{key.first, key.second + 256}] = entry.mapped();
    });
    expect_only(image, Subject::entry, "the key of 'cut' does not match its name");
}

TEST_CASE("entry: a name is there once, equal hashes apart", "[fsck]") {
    auto image = with_items([](Image &i) {
        auto key = i.name_key(1, ItemType::dirent, "file");
        i.items[{key.first, key.second + 7}] = i.items.at(key);
        i.change_inode(1, [](InodeItem &item) { item.size = 5; });
        i.change_inode(Image::file, [](InodeItem &item) { item.link_count = 3; });
    });
    expect_only(image, Subject::entry, "'file' is there twice");
}

TEST_CASE("entry: only directories have entries", "[fsck]") {
    auto image = with_items([](Image &i) {
        i.put_entry(Image::cut, "x", Image::file, S_IFREG);
        i.change_inode(Image::file, [](InodeItem &item) { item.link_count = 3; });
    });
    expect_only(image, Subject::entry, "inode 21: has entries but is not a directory");
}

TEST_CASE("link count: is the number of entries", "[fsck]") {
    auto more = with_inode(Image::file, [](InodeItem &item) { item.link_count = 3; });
    expect_only(more, Subject::link_count, "inode 16: link count 3, entries that lead to it 2");
    auto less = with_inode(Image::file, [](InodeItem &item) { item.link_count = 1; });
    expect_only(less, Subject::link_count, "inode 16: link count 1, entries that lead to it 2");
}

TEST_CASE("unfinished: entries and inodes belong together", "[fsck]") {
    const auto removal = Image::key(format::unfinished_table, ItemType::unfinished, Image::removed);
    const auto truncation = Image::key(format::unfinished_table, ItemType::unfinished, Image::cut);
    const auto with_work = [](const auto &key, auto &&change) {
        Image image;
        image.change<format::UnfinishedItem>(key, change);
        image.write();
        return image;
    };
    using Work = format::UnfinishedItem;
    auto generation = with_work(removal, [](Work &work) { work.generation = 3; });
    expect_only(generation, Subject::unfinished, "another generation");
    auto kind = with_work(removal, [](Work &work) { work.kind = 3; });
    expect_error(kind, Subject::unfinished, "unknown kind 3");
    auto before_end = with_work(truncation, [](Work &work) { work.from_block = 0; });
    expect_only(before_end, Subject::unfinished, "would free blocks before its end");
    auto links = with_inode(Image::removed, [](InodeItem &item) { item.link_count = 1; });
    expect_error(links, Subject::unfinished, "to be removed but has link count 1");
    auto missing = with_items([&](Image &image) { image.items.erase(removal); });
    expect_only(missing, Subject::unfinished, "inode 20: has no link and is not in the table");
    auto nothing = with_items([](Image &image) {
        image.items.erase(Image::key(Image::removed, ItemType::inode));
        image.items.erase(Image::key(Image::removed, ItemType::extent));
    });
    expect_error(nothing, Subject::unfinished, "there is no such inode");
    auto size = with_items([&](Image &image) { image.items[removal].resize(16); });
    expect_error(size, Subject::unfinished, "impossible item");
    auto type = with_items([](Image &image) { image.put_inode(2, S_IFREG, 0, 0); });
    expect_only(type, Subject::unfinished, "impossible item");
    auto directory = with_items([&](Image &image) {
        image.items[Image::key(2, ItemType::unfinished, Image::deep)] = image.items.at(truncation);
    });
    expect_only(directory, Subject::unfinished, "is not a regular file");
}

namespace {

void list_bad(Image &image, std::uint64_t block, std::uint32_t source, std::uint32_t flags) {
    format::BadBlockItem item{};
    item.source = source;
    item.flags = flags;
    image.items[Image::key(format::bad_block_table, ItemType::bad_block, block)] = bytes_of(item);
}

std::uint64_t block_of_a_file(const Image &image) {
    for (const auto &[key, bytes] : image.items)
        if (key.second >> 60 == static_cast<std::uint64_t>(ItemType::extent)) {
            format::ExtentItem extent;
            std::memcpy(&extent, bytes.data(), sizeof extent);
            return extent.media_block;
        }
    FAIL("no extent");
    return 0;
}

} // namespace

TEST_CASE("bad block: a listed block has an owner, or is the list's", "[fsck]") {
    const std::uint32_t flags = GENERATE(0U, 1U);
    auto alone = with_items([&](Image &i) { list_bad(i, i.allocate(0), 1, flags); });
    expect_clean(alone);
    CHECK(alone.check().counts.bad_blocks == 1);
    auto owned = with_items([&](Image &i) { list_bad(i, block_of_a_file(i), 2, flags); });
    if (flags == 0)
        expect_clean(owned);
    else
        expect_only(owned, Subject::bad_block, "is listed as nobody's but is in use");
    auto free = with_items(
        [&](Image &i) { list_bad(i, i.superblock.devices[0].block_count - 2, 3, flags); });
    expect_only(free, Subject::bitmap, "in use but marked free");
}

TEST_CASE("bad block: items with impossible values are found", "[fsck]") {
    auto source = with_items([](Image &i) { list_bad(i, block_of_a_file(i), 4, 0); });
    expect_only(source, Subject::bad_block, "unknown source or flags");
    auto flags = with_items([](Image &i) { list_bad(i, block_of_a_file(i), 1, 2); });
    expect_only(flags, Subject::bad_block, "unknown source or flags");
    auto beyond =
        with_items([](Image &i) { list_bad(i, i.superblock.devices[0].block_count, 1, 0); });
    expect_only(beyond, Subject::bad_block, "impossible item");
    auto type = with_items([](Image &i) { i.put_inode(format::bad_block_table, S_IFREG, 0, 0); });
    expect_only(type, Subject::bad_block, "impossible item");
}

TEST_CASE("unsafe shutdowns: a device's count, and nothing else", "[fsck]") {
    const auto put = [](std::uint64_t device, std::size_t bytes, ItemType type) {
        return with_items([&](Image &i) {
            i.items[Image::key(format::shutdown_table, type, device)] = ImageBytes(bytes);
        });
    };
    auto good = put(0, sizeof(format::ShutdownItem), ItemType::shutdown);
    expect_clean(good);
    auto device = put(1, sizeof(format::ShutdownItem), ItemType::shutdown);
    expect_only(device, Subject::device_table, "impossible item");
    auto size = put(0, 16, ItemType::shutdown);
    expect_only(size, Subject::device_table, "impossible item");
    auto type = put(0, sizeof(format::ShutdownItem), ItemType::pin);
    expect_only(type, Subject::device_table, "impossible item");
}

namespace {

void quarantine(Image &image, std::uint64_t block, std::uint32_t count,
                std::uint64_t inode = Image::file) {
    format::QuarantineItem item{};
    item.boot_id[0] = std::byte{1};
    item.inode = inode;
    item.block_count = count;
    image.items[Image::key(format::quarantine_table, ItemType::quarantine, block)] = bytes_of(item);
}

} // namespace

TEST_CASE("quarantine: its blocks are in use, and nobody else's", "[fsck]") {
    auto alone = with_items([&](Image &i) { quarantine(i, i.allocate(0, 3), 3); });
    expect_clean(alone);
    CHECK(alone.check().counts.quarantined_blocks == 3);
    auto owned = with_items([&](Image &i) { quarantine(i, block_of_a_file(i), 1); });
    expect_only(owned, Subject::ownership, "the quarantine: block");
    auto twice = with_items([&](Image &i) {
        const auto block = i.allocate(0, 3);
        quarantine(i, block, 3);
        quarantine(i, block + 2, 1);
    });
    expect_only(twice, Subject::ownership, "the quarantine: block");
    auto free =
        with_items([&](Image &i) { quarantine(i, i.superblock.devices[0].block_count - 3, 2); });
    expect_only(free, Subject::bitmap, "2 blocks in use but marked free");
}

TEST_CASE("quarantine: items with impossible values are found", "[fsck]") {
    auto empty = with_items([](Image &i) { quarantine(i, 100, 0); });
    expect_only(empty, Subject::quarantine, "not on a device of the volume");
    auto beyond =
        with_items([](Image &i) { quarantine(i, i.superblock.devices[0].block_count - 2, 3); });
    expect_only(beyond, Subject::quarantine, "not on a device of the volume");
    auto inode = with_items([](Image &i) { quarantine(i, 100, 1, 2); });
    expect_only(inode, Subject::quarantine, "from an impossible inode");
    auto type = with_items([](Image &i) { i.put_inode(format::quarantine_table, S_IFREG, 0, 0); });
    expect_only(type, Subject::quarantine, "impossible item");
    Image apart(1);
    quarantine(apart, apart.allocate(0), 1);
    apart.set_used(0, apart.allocate(0), false);
    apart.write();
    CHECK(has(apart.check(), Subject::role, "on a metadata device"));
}
