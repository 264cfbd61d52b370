// SPDX-License-Identifier: BSD-3-Clause
//
// One kind of damage at a time: both levels of repair, and what they leave alone.
#include "btree/tree.h"
#include "unit/repair/harness.h"

#include <algorithm>
#include <functional>
#include <sys/stat.h>

using namespace daxpin;
using namespace daxpin::test;
using format::DirentItem;
using format::ExtentItem;
using format::InodeItem;
using format::ItemType;
using repair::Level;

namespace {

using Inodes = std::set<std::uint64_t>;

struct Damage {
    const char *name;
    bool safe;      // what -p may put right
    Inodes touched; // may differ afterwards
    std::function<void(Image &)> before_write = {};
    std::function<void(Image &)> after_write = {};
    unsigned data_devices = 0;
};

constexpr std::uint64_t root = format::root_inode;
constexpr std::uint64_t unfinished = format::unfinished_table;
constexpr std::uint64_t lost_found = 23; // the number after the last

Image::ItemKey inode_key(std::uint64_t number) {
    return Image::key(number, ItemType::inode);
}

template <typename Change> auto with_inode(std::uint64_t number, Change change) {
    return [=](Image &image) { image.change_inode(number, change); };
}

template <typename T, typename Change> auto item(Image::ItemKey key, Change change) {
    return [=](Image &image) { image.change<T>(key, change); };
}

template <typename Change> auto entry(const char *name, Change change) {
    return [=](Image &image) {
        image.change<DirentItem>(image.name_key(root, ItemType::dirent, name), change);
    };
}

// ---- without space ----

constexpr std::uint64_t ballast = 40;
constexpr std::uint64_t lost_found_then = ballast + 1;

// With a file over `blocks` blocks.
Image image_with_ballast(const Damage &damage, std::uint32_t blocks) {
    Image image;
    image.put_inode(ballast, S_IFREG | 0600, 1, 0);
    image.put_entry(root, "ballast", ballast, S_IFREG);
    image.change_inode(root, [](InodeItem &inode) { inode.size = inode.size + 1; });
    image.put_extent(ballast, 0, image.allocate(0, blocks), blocks, true);
    if (damage.before_write)
        damage.before_write(image);
    image.write();
    return image;
}

std::uint32_t free_count(Image &image) {
    return image.at<format::BitmapHeader>(image.superblock.devices[0].bitmap_start).free_count;
}

Image full_image(const Damage &damage) {
    Image image = image_with_ballast(damage, 1);
    image = image_with_ballast(damage, 1 + free_count(image));
    REQUIRE(free_count(image) == 0);
    return image;
}

// Not one block is free. Nothing gets worse; what cannot be done is said, with the reason.
void run_without_space(const Damage &damage) {
    const auto wanted = content_of(full_image({damage.name, false, {}}).all_media());
    Image image = full_image(damage);
    if (damage.after_write)
        damage.after_write(image);
    const auto outcome = repair_media(image.all_media());
    INFO("full, -y\n" << text_of(outcome));
    CHECK(outcome.after.errors <= outcome.before.errors);
    auto touched = damage.touched;
    touched.insert({root, unfinished, ballast, lost_found_then});
    for (const std::uint64_t number : differing(wanted, content_of(image.all_media()))) {
        INFO("inode " << number << " differs");
        CHECK(touched.contains(number));
    }
    if (outcome.after.clean())
        return;
    REQUIRE_FALSE(outcome.failed.empty());
    for (const auto &text : outcome.failed)
        CHECK(text.find("no space") != text.npos);
}

void run_with_space(const Damage &damage) {
    Image good(damage.data_devices);
    good.write();
    const auto wanted = content_of(good.all_media());
    Image image(damage.data_devices);
    if (damage.before_write)
        damage.before_write(image);
    image.write();
    if (damage.after_write)
        damage.after_write(image);
    const auto found = image.check();
    INFO(text_of(found));
    CHECK(found.errors + found.notes != 0);

    const auto automatic = clones(image.all_media());
    const auto careful = repair_media(automatic, Level::safe);
    INFO("-p\n" << text_of(careful));
    CHECK(check(automatic).clean() == (damage.safe || found.clean()));
    CHECK(careful.after.errors <= found.errors);
    if (!damage.safe)
        CHECK(careful.done.empty());

    const auto outcome = repair_media(image.all_media());
    INFO("-y\n" << text_of(outcome));
    CHECK(outcome.after.clean());
    const auto after = image.check();
    CHECK(after.clean());
    CHECK(after.notes == 0);
    CHECK_FALSE(outcome.done.empty());
    for (const std::uint64_t number : differing(wanted, content_of(image.all_media()))) {
        INFO("inode " << number << " differs");
        CHECK(damage.touched.contains(number));
    }
    expect_mountable(image.all_media());
    const auto again = repair_media(image.all_media());
    CHECK(again.done.empty());
}

void run(const Damage &damage) {
    INFO(damage.name);
    run_with_space(damage);
    if (damage.data_devices == 0)
        run_without_space(damage);
}

} // namespace

TEST_CASE("repair: a sound volume is not written to", "[repair]") {
    Image image;
    image.write();
    const auto before = clones(image.all_media());
    const auto level = GENERATE(Level::safe, Level::all);
    const auto outcome = repair_media(image.all_media(), level);
    CHECK(outcome.after.clean());
    CHECK(outcome.done.empty());
    CHECK(std::ranges::equal(before[0]->bytes(), image.media().bytes()));
}

TEST_CASE("repair: copies of label, superblock and tail cell", "[repair]") {
    const std::uint64_t last = Image::blocks - 1;
    for (const std::uint64_t block : {std::uint64_t{0}, last}) {
        run({"label", true, {}, {}, [=](Image &i) {
                 i.at<format::DeviceLabel>(block).text[3] ^= 1;
             }});
        run({"superblock", true, {}, {}, [=](Image &i) {
                 i.at<format::Superblock>(block, format::superblock_offset).root = 99;
             }});
        run({"block of zeros", true, {}, {}, [=](Image &i) {
                 std::ranges::fill(i.block(block), std::byte{0});
             }});
    }
    run({"labels that differ", false, {}, {}, [=](Image &i) {
             auto &label = i.at<format::DeviceLabel>(last);
             label.text[0] = 'x';
             label.crc = 0;
             label.crc = crc32c(bytes_of(label));
         }});
    for (const std::uint64_t cell : {Image::cell_a, Image::cell_b})
        run({"tail cell", true, {}, {}, [=](Image &i) {
                 i.at<format::TailCell>(cell).counter = 0;
             }});
    run({"tail cells that contradict each other", false, {}, {}, [](Image &i) {
             i.write_cell(Image::cell_b, 5, i.head + 64);
         }});
    run({"tail cells, both", false, {}, {}, [](Image &i) {
             i.at<format::TailCell>(Image::cell_a).magic = 0;
             i.at<format::TailCell>(Image::cell_b).magic = 0;
         }});
}

TEST_CASE("repair: bitmaps", "[repair]") {
    const auto flip = [](std::uint64_t bit, int count) {
        return [=](Image &i) {
            const std::uint64_t chunk = i.superblock.devices[0].bitmap_start;
            i.block(chunk)[format::bitmap_header_bytes + bit / 8] ^= std::byte{1} << (bit % 8);
            auto &header = i.at<format::BitmapHeader>(chunk);
            header.free_count = header.free_count + count;
            Image::seal_unit(i.block(chunk));
        };
    };
    run({"leak", true, {}, {}, flip(200, -1)});
    run({"beyond the device", true, {}, {}, flip(Image::blocks, 1)});
    run({"free count", true, {}, {}, [](Image &i) {
             const std::uint64_t chunk = i.superblock.devices[0].bitmap_start;
             i.at<format::BitmapHeader>(chunk).free_count = 3;
             Image::seal_unit(i.block(chunk));
         }});
    run({"in use but free", true, {}, {}, [&](Image &i) { flip(i.file_blocks, 1)(i); }});
    run({"a whole chunk", true, {}, {}, [](Image &i) {
             std::ranges::fill(i.block(i.superblock.devices[0].bitmap_start), std::byte{0x5a});
         }});
}

TEST_CASE("repair: fields of inodes", "[repair]") {
    run({"mode", false, {Image::cut}, with_inode(Image::cut, [](InodeItem &i) { i.mode = 0644; })});
    run({"high bits of mode", false, {}, with_inode(Image::cut, [](InodeItem &i) {
             i.mode = i.mode | 0x10000;
         })});
    run({"flags", false, {}, with_inode(Image::cut, [](InodeItem &i) { i.flags = 64; })});
    run({"size", false, {Image::cut, unfinished}, with_inode(Image::cut, [](InodeItem &i) {
             i.size = ~std::uint64_t{0};
         })});
    run({"alignment", false, {}, with_inode(Image::cut, [](InodeItem &i) { i.align_hint = 3; })});
    run({"block count", true, {}, with_inode(Image::file, [](InodeItem &i) {
             i.block_count = 9;
         })});
    run({"size of a directory", true, {}, with_inode(Image::sub, [](InodeItem &i) {
             i.size = 7;
         })});
    run({"links of a directory", true, {}, with_inode(Image::sub, [](InodeItem &i) {
             i.link_count = 9;
         })});
    run({"links of a file", true, {}, with_inode(Image::file, [](InodeItem &i) {
             i.link_count = 9;
         })});
    run({"too few links", true, {}, with_inode(Image::file, [](InodeItem &i) {
             i.link_count = 1;
         })});
    run({"no links but a name",
         true,
         {},
         with_inode(Image::pinned, [](InodeItem &i) { i.link_count = 0; }),
         {}});
    run({"parent", true, {}, with_inode(Image::deep, [](InodeItem &i) { i.parent = 999; })});
    run({"parent of the root", true, {}, with_inode(root, [](InodeItem &i) { i.parent = 5; })});
    run({"type of the root", false, {root}, with_inode(root, [](InodeItem &i) {
             i.mode = 0100644;
         })});
}

TEST_CASE("repair: inodes that are not there", "[repair]") {
    const auto without = [](std::uint64_t number) {
        return [=](Image &i) { i.items.erase(inode_key(number)); };
    };
    run({"of a file", false, {Image::file}, without(Image::file)});
    run({"of a link", false, {Image::link}, without(Image::link)});
    run({"of a directory", false, {Image::sub}, without(Image::sub)});
    run({"of the root", false, {root}, without(root)});
    run({"of the greatest key", false, {~std::uint64_t{0}}, [](Image &i) {
             i.items[{~std::uint64_t{0}, ~std::uint64_t{0}}] = bytes_of(le64(7));
         }});
    run({"of an empty directory: its name goes",
         false,
         {Image::deep, Image::sub},
         without(Image::deep)});
    run({"impossible type of item", false, {}, [](Image &i) { i.items[{19, ~0ULL}] = {}; }});
    run({"reserved number", false, {}, [](Image &i) { i.put_inode(7, S_IFREG | 0644, 1, 0); }});
    run({"too great a number", false, {}, [](Image &i) {
             i.put_inode(std::uint64_t{1} << 61, S_IFREG | 0644, 1, 0);
         }});
}

TEST_CASE("repair: entries", "[repair]") {
    const Inodes lost{root, Image::cut, lost_found};
    run({"to nothing", false, lost, entry("cut", [](DirentItem &e) { e.inode = 500; })});
    run({"generation", false, lost, entry("cut", [](DirentItem &e) { e.generation = 1; })});
    run({"type", true, {}, entry("cut", [](DirentItem &e) { e.type = 2; })});
    run({"length", false, lost, entry("cut", [](DirentItem &e) { e.name_length = 0; })});
    run({"hash", false, {}, [](Image &i) {
             const auto key = i.name_key(root, ItemType::dirent, "cut");
             i.items[{key.first, key.second + 256}] = i.items.extract(key).mapped();
         }});
    run({"twice", false, {}, [](Image &i) {
             const auto key = i.name_key(root, ItemType::dirent, "file");
             i.items[{key.first, key.second + 7}] = i.items.at(key);
         }});
    run({"impossible name", false, lost, [](Image &i) {
             i.items.erase(i.name_key(root, ItemType::dirent, "cut"));
             i.put_entry(root, "a/b", Image::cut, S_IFREG);
         }});
    run({"of what is no directory", false, {}, [](Image &i) {
             i.put_entry(Image::cut, "x", Image::file, S_IFREG);
         }});
    run({"to the root", false, {}, [](Image &i) { i.put_entry(Image::deep, "x", root, S_IFDIR); }});
    run({"second one of a directory", false, {}, [](Image &i) {
             i.put_entry(root, "x", Image::deep, S_IFDIR);
         }});
    run({"lost", false, lost,
         [](Image &i) { i.items.erase(i.name_key(root, ItemType::dirent, "cut")); }});
    run({"of a directory, lost", false, {root, Image::sub, Image::deep, lost_found}, [](Image &i) {
             i.items.erase(i.name_key(Image::sub, ItemType::dirent, "deep"));
         }});
    run({"that make a cycle", false, {root, Image::sub, Image::deep, lost_found}, [](Image &i) {
             i.items.erase(i.name_key(root, ItemType::dirent, "sub"));
             i.put_entry(Image::deep, "sub", Image::sub, S_IFDIR);
             i.change_inode(Image::sub, [](InodeItem &s) { s.parent = Image::deep; });
         }});
}

TEST_CASE("repair: extents and pins", "[repair]") {
    const auto first = Image::key(Image::file, ItemType::extent);
    const Inodes file{Image::file};
    run({"no blocks", false, file,
         item<ExtentItem>(first, [](ExtentItem &e) { e.block_count = 0; })});
    run({"flags", false, file, item<ExtentItem>(first, [](ExtentItem &e) { e.flags = 8; })});
    run({"outside the device", false, file,
         item<ExtentItem>(first, [](ExtentItem &e) { e.media_block = 1000; })});
    run({"over the ring", false, file,
         item<ExtentItem>(first, [](ExtentItem &e) { e.media_block = Image::ring_start + 2; })});
    run({"over another file: written before unwritten, then the lower number",
         false,
         {Image::cut, Image::file},
         [](Image &i) {
             i.change<ExtentItem>(Image::key(Image::cut, ItemType::extent),
                                  [&](ExtentItem &e) { e.media_block = i.file_blocks + 1; });
         }});
    run({"over a pinned file: the pin keeps", false, file, [](Image &i) {
             ExtentItem pinned;
             std::memcpy(&pinned, i.items.at(Image::key(Image::pinned, ItemType::extent)).data(),
                         sizeof pinned);
             i.change<ExtentItem>(Image::key(Image::file, ItemType::extent),
                                  [&](ExtentItem &e) { e.media_block = pinned.media_block; });
         }});
    run({"overlap in one file", false, file,
         [](Image &i) { i.put_extent(Image::file, 1, i.allocate(0, 2), 2); }});
    run({"of what is no file", false, {}, [](Image &i) {
             i.put_extent(Image::link, 0, i.allocate(0), 1);
         }});
    run({"on the metadata device",
         false,
         file,
         item<ExtentItem>(first, [](ExtentItem &e) { e.media_block = 200; }),
         {},
         1});
    run({"pin of nothing", false, {Image::pinned}, [](Image &i) {
             i.items[Image::key(Image::pinned, ItemType::pin)] = bytes_of(format::PinItem{});
         }});
    run({"pin over a hole", false, file, [](Image &i) {
             i.items[Image::key(Image::file, ItemType::pin)] =
                 bytes_of(format::PinItem{.block_count = 4});
         }});
    run({"pins that touch", false, {}, [](Image &i) {
             i.items[Image::key(Image::pinned, ItemType::pin)] =
                 bytes_of(format::PinItem{.block_count = 1});
             i.items[Image::key(Image::pinned, ItemType::pin, 1)] =
                 bytes_of(format::PinItem{.block_count = 1});
         }});
    run({"wholly pinned without pins", false, {Image::pinned}, [](Image &i) {
             i.items.erase(Image::key(Image::pinned, ItemType::pin));
         }});
}

TEST_CASE("repair: blobs", "[repair]") {
    const auto blob = [](Image &i, const char *name) {
        return i.name_key(Image::file, ItemType::xattr, name);
    };
    run({"content of an attribute", false, {Image::file}, [&](Image &i) {
             i.items.at(blob(i, "user.small")).back() ^= std::byte{3};
         }});
    run({"lengths of an attribute", false, {Image::file}, [&](Image &i) {
             i.change<format::BlobItem>(blob(i, "user.small"),
                                        [](format::BlobItem &b) { b.length = 70000; });
         }});
    run({"hash of an attribute", false, {}, [&](Image &i) {
             const auto key = blob(i, "user.small");
             i.items[{key.first, key.second + 256}] = i.items.extract(key).mapped();
         }});
    run({"target of a link: the link goes", false, {Image::link, Image::sub}, [](Image &i) {
             i.items.at(Image::key(Image::link, ItemType::symlink)).back() ^= std::byte{1};
         }});
    run({"size of a link", true, {}, with_inode(Image::link, [](InodeItem &l) { l.size = 3; })});
}

TEST_CASE("repair: unfinished work", "[repair]") {
    using Work = format::UnfinishedItem;
    const auto removal = Image::key(unfinished, ItemType::unfinished, Image::removed);
    const auto truncation = Image::key(unfinished, ItemType::unfinished, Image::cut);
    const Inodes lost{unfinished, root, Image::removed, lost_found};
    run({"generation", true, {}, item<Work>(removal, [](Work &w) { w.generation = 3; })});
    run({"kind", false, lost, item<Work>(removal, [](Work &w) { w.kind = 3; })});
    run({"before the end", true, {}, item<Work>(truncation, [](Work &w) { w.from_block = 0; })});
    run({"missing", false, lost, [=](Image &i) { i.items.erase(removal); }});
    run({"of what has links", false, lost,
         with_inode(Image::removed, [](InodeItem &i) { i.link_count = 1; })});
    run({"of nothing", true, {}, [=](Image &i) {
             i.items[Image::key(unfinished, ItemType::unfinished, 400)] = i.items.at(removal);
         }});
    run({"of a directory", true, {}, [=](Image &i) {
             i.items[Image::key(unfinished, ItemType::unfinished, Image::deep)] =
                 i.items.at(truncation);
         }});
    run({"of impossible size", false, lost, [=](Image &i) { i.items[removal].resize(16); }});
}

TEST_CASE("repair: nodes of the tree", "[repair]") {
    const auto garbage = [](std::uint64_t node) {
        return
            [=](Image &i) { std::ranges::fill(i.block(node).subspan(100, 64), std::byte{0x77}); };
    };
    Image plan;
    plan.write();
    REQUIRE((plan.nodes.size() == 3 && plan.nodes[1].size() == 3));
    for (std::size_t level = 1; level < plan.nodes.size(); ++level)
        for (const std::uint64_t node : plan.nodes[level]) {
            run_with_space({"inner node, garbage", false, {}, {}, garbage(node)});
            run_with_space({"inner node, zeros", false, {}, {}, [=](Image &i) {
                                std::ranges::fill(i.block(node), std::byte{0});
                            }});
        }
    run_with_space({"two levels", false, {}, {}, [&](Image &i) {
                        garbage(plan.nodes[2][0])(i);
                        garbage(plan.nodes[1][0])(i);
                        garbage(plan.nodes[1][2])(i);
                    }});
    run_with_space({"all inner nodes", false, {}, {}, [&](Image &i) {
                        for (std::size_t level = 1; level < plan.nodes.size(); ++level)
                            for (const std::uint64_t node : plan.nodes[level])
                                garbage(node)(i);
                    }});
    run_with_space({"inner node and bitmap", false, {}, {}, [&](Image &i) {
                        garbage(plan.nodes[1][1])(i);
                        garbage(i.superblock.devices[0].bitmap_start)(i);
                    }});
}

TEST_CASE("repair: a lost node of a full volume", "[repair]") {
    const Image plan = full_image({"plan", false, {}});
    for (const auto &level : plan.nodes)
        for (const std::uint64_t node : level) {
            Image image = full_image({"lost node", false, {}});
            std::ranges::fill(image.block(node), std::byte{0});
            const auto outcome = repair_media(image.all_media());
            INFO("node " << node << "\n" << text_of(outcome));
            CHECK((outcome.after.clean() || !outcome.failed.empty()));
            for (const auto &text : outcome.failed)
                CHECK(text.find("no space") != text.npos);
        }
}

TEST_CASE("repair: of a lost leaf nothing else is lost", "[repair]") {
    Image plan;
    plan.write();
    const auto wanted = content_of(plan.all_media());
    for (const std::uint64_t node : plan.nodes[0]) {
        Image image;
        image.write();
        Inodes touched{root, unfinished, 23};
        const unsigned count = image.at<format::NodeHeader>(node).count;
        for (unsigned i = 0; i < count; ++i) {
            const auto slot = image.at<format::LeafSlot>(node, sizeof(format::NodeHeader) + i * 4);
            touched.insert(image.at<format::Key>(node, slot.offset).inode);
            const auto value = slot.offset + sizeof(format::Key);
            const btree::Key key{image.at<format::Key>(node, slot.offset).inode,
                                 image.at<format::Key>(node, slot.offset).place};
            if (key.type() == ItemType::dirent)
                touched.insert(image.at<DirentItem>(node, value).inode);
            if (key.type() == ItemType::unfinished)
                touched.insert(key.offset());
        }
        // Who has a name there that leads to an inode of this leaf.
        for (const auto &[key, bytes] : wanted)
            if (key.second >> 60 == 2) {
                DirentItem found;
                std::memcpy(&found, bytes.data(), sizeof found);
                if (touched.contains(found.inode))
                    touched.insert(key.first);
            }
        std::ranges::fill(image.block(node), std::byte{0});
        const auto outcome = repair_media(image.all_media());
        INFO("leaf " << node << "\n" << text_of(outcome));
        CHECK(image.check().clean());
        for (const std::uint64_t number : differing(wanted, content_of(image.all_media()))) {
            INFO("inode " << number << " differs");
            CHECK(touched.contains(number));
        }
        expect_mountable(image.all_media());
    }
}

namespace {

void quarantine(Image &image, std::uint64_t block, std::uint32_t count, std::uint8_t boot) {
    format::QuarantineItem item{};
    item.boot_id[0] = std::byte{boot}; // as TestEnv makes it of a number
    item.inode = Image::file;
    item.block_count = count;
    image.items[Image::key(format::quarantine_table, ItemType::quarantine, block)] = bytes_of(item);
}

} // namespace

TEST_CASE("repair: the quarantine of other boots is emptied, that of this one stays", "[repair]") {
    const auto level = GENERATE(Level::safe, Level::all);
    Image image;
    quarantine(image, image.allocate(0, 3), 3, 1);
    quarantine(image, image.allocate(0, 2), 2, 2);
    image.write();
    CHECK(image.check().counts.quarantined_blocks == 5);
    const auto outcome = repair_media(image.all_media(), level);
    INFO(text_of(outcome));
    CHECK(outcome.before.clean());
    CHECK(outcome.after.clean());
    CHECK(outcome.after.counts.quarantined_blocks == 3);
    CHECK(outcome.after.counts.free_blocks == outcome.before.counts.free_blocks + 2);
    expect_mountable(image.all_media());
}

TEST_CASE("repair: of blocks in quarantine and in a file the file keeps them", "[repair]") {
    Image image;
    quarantine(image, image.file_blocks, 1, 1);
    const auto own = image.allocate(0, 2);
    quarantine(image, own, 2, 1);
    quarantine(image, own + 1, 1, 1);
    image.write();
    CHECK_FALSE(image.check().clean());
    const auto outcome = repair_media(image.all_media(), Level::all);
    INFO(text_of(outcome));
    CHECK(outcome.after.clean());
    CHECK(outcome.after.counts.quarantined_blocks == 2);
    expect_mountable(image.all_media());
}
