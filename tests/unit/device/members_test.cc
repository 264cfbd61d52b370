// SPDX-License-Identifier: BSD-3-Clause
#include "base/uuid.h"
#include "device/label.h"
#include "support/catch.h"
#include "temp_file.h"

#include <algorithm>

namespace daxpin::device {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t file_bytes = 16 * block_size;

bool contains(const std::string &text, const std::string &part) {
    return text.find(part) != std::string::npos;
}

// Labels the files as one volume, in order.
void make_volume(const std::vector<std::string> &paths, unsigned volume = 1,
                 const std::string &name = "") {
    const auto count = static_cast<unsigned>(paths.size());
    for (unsigned index = 0; index < count; ++index) {
        const auto device = open_or_fail(paths[index]);
        auto superblock = superblock_for(*device, volume);
        superblock.device_count = static_cast<std::uint16_t>(count);
        for (unsigned i = 0; i < count; ++i) {
            superblock.devices[i].device_uuid[0] = static_cast<std::byte>(volume);
            superblock.devices[i].device_uuid[15] = static_cast<std::byte>(i + 1);
            superblock.devices[i].block_count = fs::file_size(paths[i]) / block_size;
        }
        auto label = label_for(*device, index, count, volume);
        std::ranges::fill(label.text, '\0');
        std::ranges::copy(name, label.text);
        REQUIRE(write_labels(*device, label, index == 0 ? &superblock : nullptr).has_value());
    }
}

std::string volume_text(const std::string &path, const OpenOptions &options = {}) {
    const auto table = open_volume_devices(path, options);
    return table ? "" : describe(table.error());
}

} // namespace

TEST_CASE("members: a volume of one device opens alone", "[members]") {
    const TempDirectory directory;
    const std::string path = directory.file("a", file_bytes);
    make_volume({path});
    const auto table = open_volume_devices(path, {});
    REQUIRE(table.has_value());
    CHECK(table->count() == 1);
    CHECK(table->metadata().info().path == path);
}

TEST_CASE("members: any member finds the others, in index order", "[members]") {
    const TempDirectory first;
    const TempDirectory second;
    const std::vector<std::string> paths{first.file("meta", file_bytes),
                                         first.file("data", 2 * file_bytes),
                                         second.file("more", file_bytes)};
    make_volume(paths);
    make_volume({first.file("other", file_bytes), first.file("other2", file_bytes),
                 first.file("other3", file_bytes)},
                2);
    OpenOptions options;
    SECTION("in a searched directory") {
        options.search_directories = {second.path()};
    }
    SECTION("by name") {
        options.more_paths = {paths[2]};
    }
    const auto named = GENERATE(0U, 1U);
    const auto table = open_volume_devices(paths[named], options);
    INFO((table ? "" : describe(table.error())));
    REQUIRE(table.has_value());
    REQUIRE(table->count() == 3);
    for (unsigned index = 0; index < 3; ++index)
        CHECK(fs::equivalent(table->at(index).info().path, paths[index]));
}

TEST_CASE("members: what is missing is named by UUID", "[members]") {
    const TempDirectory directory;
    const std::vector<std::string> paths{directory.file("meta", file_bytes),
                                         directory.file("data", file_bytes)};
    make_volume(paths);
    fs::remove(paths[1]);
    const auto table = open_volume_devices(paths[0], {});
    REQUIRE_FALSE(table.has_value());
    CHECK(table.code() == Errc::missing);
    CHECK(contains(table.error().text, "device 1 (UUID 01000000-0000-0000-0000-000000000002)"));
    CHECK(contains(table.error().text, "volume 01000000-0000-0000-0000-000000000000"));
}

TEST_CASE("members: without the metadata device its index is named", "[members]") {
    const TempDirectory directory;
    const std::vector<std::string> paths{directory.file("meta", file_bytes),
                                         directory.file("data", file_bytes)};
    make_volume(paths);
    fs::remove(paths[0]);
    CHECK(contains(volume_text(paths[1]), "lacks device 0"));
}

TEST_CASE("members: a copy beside the original is not taken by chance", "[members]") {
    const TempDirectory directory;
    const std::vector<std::string> paths{directory.file("meta", file_bytes),
                                         directory.file("data", file_bytes)};
    make_volume(paths);
    fs::copy_file(paths[1], directory.path() + "/backup");
    CHECK(contains(volume_text(paths[0]), "one is a copy"));
    OpenOptions options;
    options.more_paths = {paths[1]};
    CHECK(volume_text(paths[0], options).empty());
    fs::remove(directory.path() + "/backup");
    fs::create_symlink(paths[1], directory.path() + "/link");
    CHECK(volume_text(paths[0]).empty());
}

TEST_CASE("members: what the user named counts more than a copy found in a search", "[members]") {
    const TempDirectory directory;
    const std::vector<std::string> paths{directory.file("meta", file_bytes),
                                         directory.file("data", file_bytes),
                                         directory.file("more", file_bytes)};
    make_volume(paths);
    fs::copy_file(paths[1], directory.path() + "/backup");
    OpenOptions options;
    options.more_paths = {paths[1]};
    CHECK(volume_text(paths[0], options).empty());
}

TEST_CASE("members: a device that the superblock does not know is refused", "[members]") {
    const TempDirectory directory;
    const std::vector<std::string> paths{directory.file("meta", file_bytes),
                                         directory.file("data", file_bytes)};
    make_volume(paths);
    {
        const auto device = open_or_fail(paths[1]);
        auto label = label_for(*device, 1, 2);
        label.device_uuid[15] = std::byte{0x99};
        REQUIRE(write_labels(*device, label, nullptr).has_value());
    }
    CHECK(contains(volume_text(paths[0]), "does not match"));
}

TEST_CASE("members: a busy member is told by name", "[members]") {
    const TempDirectory directory;
    const std::vector<std::string> paths{directory.file("meta", file_bytes),
                                         directory.file("data", file_bytes)};
    make_volume(paths);
    const auto held = open_or_fail(paths[1]);
    const auto table = open_volume_devices(paths[0], {});
    REQUIRE_FALSE(table.has_value());
    CHECK(table.code() == Errc::busy);
    CHECK(contains(table.error().text, paths[1]));
}

TEST_CASE("members: a volume is found by its label or its UUID", "[members]") {
    const TempDirectory directory;
    const std::vector<std::string> shop{directory.file("meta", file_bytes),
                                        directory.file("data", file_bytes)};
    const std::string other = directory.file("other", file_bytes);
    make_volume(shop, 1, "shop");
    make_volume({other}, 2, std::string(format::label_text_max, 'o')); // no zero behind it
    OpenOptions options;
    SECTION("in a searched directory") {
        options.search_directories = {directory.path()};
    }
    SECTION("among the devices that are named") {
        options.more_paths = {other, shop[1]};
    }
    for (const auto *name : {"volume:shop", "volume:01000000-0000-0000-0000-000000000000"}) {
        const auto table = open_volume_devices(name, options);
        INFO(name << ": " << (table ? "" : describe(table.error())));
        REQUIRE(table.has_value());
        REQUIRE(table->count() == 2);
        CHECK(fs::equivalent(table->at(0).info().path, shop[0]));
    }
    const auto full = "volume:" + std::string(format::label_text_max, 'o');
    CHECK(volume_text(full, options).empty());
    CHECK(contains(volume_text("volume:sho", options), "no device DAX"));
    CHECK(contains(volume_text("volume:", options), "add the volume's UUID or label"));
}

TEST_CASE("members: a name that two volumes have, or a copy, is nobody's to choose", "[members]") {
    const TempDirectory directory;
    const std::string one = directory.file("one", file_bytes);
    const std::string other = directory.file("other", file_bytes);
    make_volume({one}, 1, "shop");
    OpenOptions options;
    options.search_directories = {directory.path()};
    SECTION("two volumes of one label") {
        make_volume({other}, 2, "shop");
        CHECK(contains(volume_text("volume:shop", options), "name the volume by its UUID"));
        CHECK(volume_text("volume:02000000-0000-0000-0000-000000000000", options).empty());
    }
    SECTION("a copy") {
        fs::copy_file(one, other, fs::copy_options::overwrite_existing);
        CHECK(contains(volume_text("volume:shop", options), "one is a copy"));
        options.more_paths = {other};
        CHECK(volume_text("volume:shop", options).empty());
    }
    SECTION("another name of the same file") {
        fs::remove(other);
        fs::create_symlink(one, other);
        CHECK(volume_text("volume:shop", options).empty());
    }
}

} // namespace daxpin::device
