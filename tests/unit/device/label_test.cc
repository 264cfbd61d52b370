// SPDX-License-Identifier: BSD-3-Clause
#include "device/label.h"

#include "base/checksum.h"
#include "support/catch.h"
#include "temp_file.h"

#include <cstdlib>
#include <cstring>
#include <unistd.h>

namespace daxpin::device {
namespace {

constexpr std::uint64_t blocks = 64;
constexpr std::uint64_t last_block = (blocks - 1) * block_size;

struct Labelled {
    TempDirectory directory;
    std::string path = directory.file("volume", blocks *block_size);
    std::unique_ptr<Device> device = open_or_fail(path);

    void write(unsigned volume = 1) {
        const auto superblock = superblock_for(*device, volume);
        REQUIRE(write_labels(*device, label_for(*device, 0, 1, volume), &superblock).has_value());
    }
    void write(const format::Superblock &superblock) {
        REQUIRE(write_labels(*device, label_for(*device), &superblock).has_value());
    }
    void fill(std::uint64_t offset, std::byte value, std::uint64_t length) {
        REQUIRE(device->set(offset, value, length, StoreKind::cached).has_value());
    }
    std::string text() const {
        const auto label = read_label(*device);
        return label ? "" : describe(label.error());
    }
    bool is_whole() const {
        return read_label(*device).has_value() && read_superblock(*device).has_value();
    }
};

bool contains(const std::string &text, const std::string &part) {
    return text.find(part) != std::string::npos;
}

// Passes on a number of stores and drains, then fails each: a crash at that point.
class StoppingDevice final : public Device {
  public:
    StoppingDevice(Device &inner, int budget) : inner_(inner), budget_(budget) {}
    const DeviceInfo &info() const override { return inner_.info(); }
    std::span<const std::byte> view() const override { return inner_.view(); }
    Result<void> read(std::uint64_t offset, std::span<std::byte> out) const override {
        return inner_.read(offset, out);
    }
    Result<void> look_at(std::uint64_t offset, std::size_t length, LookAccess access,
                         const void *context) const override {
        return inner_.look_at(offset, length, access, context);
    }
    Result<void> store8(std::uint64_t offset, std::uint64_t value) override {
        return spend() ? inner_.store8(offset, value) : Result<void>(Errc::io);
    }
    Result<void> copy(std::uint64_t offset, std::span<const std::byte> in,
                      StoreKind kind) override {
        if (spend())
            return inner_.copy(offset, in, kind);
        // Torn in the middle.
        (void)inner_.copy(offset, in.first(in.size() / 16 * 8), kind);
        return Errc::io;
    }
    Result<void> set(std::uint64_t offset, std::byte value, std::uint64_t length,
                     StoreKind kind) override {
        return spend() ? inner_.set(offset, value, length, kind) : Result<void>(Errc::io);
    }
    void flush(std::uint64_t offset, std::uint64_t length) override {
        inner_.flush(offset, length);
    }
    Result<void> drain() override { return spend() ? inner_.drain() : Result<void>(Errc::io); }
    Result<void> deep_flush(std::uint64_t offset, std::uint64_t length) override {
        return inner_.deep_flush(offset, length);
    }

  private:
    bool spend() { return budget_-- > 0; }

    Device &inner_;
    int budget_;
};

} // namespace

TEST_CASE("label: what was written is read", "[label]") {
    Labelled volume;
    volume.write();
    const auto label = read_label(*volume.device);
    REQUIRE(label.has_value());
    CHECK(label->block_count == blocks);
    CHECK(label->device_uuid[15] == std::byte{1});
    const auto superblock = read_superblock(*volume.device);
    REQUIRE(superblock.has_value());
    CHECK(superblock->devices[0].block_count == blocks);
    CHECK_FALSE(*restore_copies(*volume.device));
}

TEST_CASE("label: the loss of either block loses nothing and is repaired", "[label]") {
    Labelled volume;
    volume.write();
    const auto block = GENERATE(std::uint64_t{0}, last_block);
    const auto value = GENERATE(std::byte{0}, std::byte{0xff}, std::byte{0xa5});
    volume.fill(block, value, block_size);
    CHECK(volume.is_whole());
    CHECK(*restore_copies(*volume.device));
    CHECK_FALSE(*restore_copies(*volume.device));
    volume.fill(last_block - block, value, block_size); // now the other one
    CHECK(volume.is_whole());
}

TEST_CASE("label: a copy on a poisoned block is passed over, and made anew", "[label]") {
    Labelled volume;
    volume.write();
    const auto block = GENERATE(std::uint64_t{0}, last_block);
    poison(*volume.device, block);
    CHECK(volume.is_whole());
    CHECK(*restore_copies(*volume.device));
    CHECK_FALSE(*restore_copies(*volume.device));
    volume.fill(last_block - block, std::byte{0}, block_size); // now the other one
    CHECK(volume.is_whole());
}

TEST_CASE("label: a block that stays bad keeps its copy from being made anew", "[label]") {
    Labelled volume;
    volume.write();
    poison(*volume.device, GENERATE(std::uint64_t{0}, last_block));
    StoppingDevice bad(*volume.device, 0);
    CHECK(restore_copies(bad).code() == Errc::io);
    CHECK(volume.is_whole());
}

TEST_CASE("label: label and superblock may each survive in another block", "[label]") {
    Labelled volume;
    volume.write();
    volume.fill(0, std::byte{0}, sizeof(format::DeviceLabel));
    volume.fill(last_block + format::superblock_offset, std::byte{0}, sizeof(format::Superblock));
    CHECK(volume.is_whole());
    CHECK(*restore_copies(*volume.device));
    volume.fill(0, std::byte{0}, block_size);
    CHECK(volume.is_whole());
}

TEST_CASE("label: with both copies gone it is no volume, and the message says so", "[label]") {
    Labelled volume;
    volume.write();
    SECTION("zeroed") {
        volume.fill(0, std::byte{0}, block_size);
        volume.fill(last_block, std::byte{0}, block_size);
        CHECK(contains(volume.text(), "begins with zeros"));
        CHECK_FALSE(contains(volume.text(), "mkfs"));
    }
    SECTION("damaged") {
        volume.fill(200, std::byte{1}, 1);
        volume.fill(last_block + 201, std::byte{1}, 1);
        CHECK(contains(volume.text(), "wrong checksum"));
        CHECK(contains(volume.text(), "restore a backup"));
    }
    CHECK(read_label(*volume.device).code() == Errc::invalid);
    CHECK_FALSE(*restore_copies(*volume.device));
}

TEST_CASE("label: with both superblocks gone the message names them", "[label]") {
    Labelled volume;
    volume.write();
    for (const auto block : {std::uint64_t{0}, last_block})
        volume.fill(block + format::superblock_offset + 100, std::byte{1}, 1);
    CHECK(read_label(*volume.device).has_value());
    CHECK(contains(describe(read_superblock(*volume.device).error()), "superblock are damaged"));
}

TEST_CASE("label: every flipped bit is noticed", "[label]") {
    Labelled volume;
    volume.write();
    volume.fill(last_block, std::byte{0}, block_size);
    const auto check_bits = [&](std::uint64_t start, std::size_t length) {
        for (std::uint64_t at = start; at < start + length; ++at) {
            std::byte before[1];
            REQUIRE(volume.device->read(at, before).has_value());
            volume.fill(at, before[0] ^ std::byte{0x10}, 1);
            CHECK_FALSE(volume.is_whole());
            volume.fill(at, before[0], 1);
        }
    };
    check_bits(0, sizeof(format::DeviceLabel));
    check_bits(format::superblock_offset, sizeof(format::Superblock));
    CHECK(volume.is_whole());
}

TEST_CASE("label: copies of an earlier volume do not count", "[label]") {
    Labelled volume;
    volume.write(2);
    std::byte older[block_size];
    REQUIRE(volume.device->read(0, older).has_value());
    volume.write(1);
    SECTION("the first copy rules over an older second") {
        REQUIRE(volume.device->copy(last_block, older, StoreKind::cached).has_value());
        CHECK(read_label(*volume.device)->volume_uuid[0] == std::byte{1});
        CHECK(read_superblock(*volume.device)->volume_uuid[0] == std::byte{1});
    }
    SECTION("an older superblock is none") {
        const auto at = format::superblock_offset;
        const auto old = std::span(older).subspan(at, sizeof(format::Superblock));
        REQUIRE(volume.device->copy(last_block + at, old, StoreKind::cached).has_value());
        volume.fill(at, std::byte{0}, 100);
        CHECK(read_superblock(*volume.device).code() == Errc::invalid);
    }
    SECTION("a label whose last block is elsewhere is none") {
        auto label = label_for(*volume.device);
        label.block_count = blocks / 2;
        const auto superblock = superblock_for(*volume.device);
        REQUIRE(write_labels(*volume.device, label, &superblock).has_value());
        std::byte smaller[block_size];
        REQUIRE(volume.device->read(0, smaller).has_value());
        volume.fill(0, std::byte{0}, block_size);
        REQUIRE(volume.device->copy(last_block, smaller, StoreKind::cached).has_value());
        CHECK(read_label(*volume.device).code() == Errc::invalid);
    }
}

TEST_CASE("label: unknown features are refused by the number of their bit", "[label]") {
    Labelled volume;
    auto superblock = superblock_for(*volume.device);
    SECTION("incompat") {
        superblock.incompat = std::uint64_t{1} << 5 | std::uint64_t{1} << 63;
        volume.write(superblock);
        const auto error = read_superblock(*volume.device).error();
        CHECK(error.code == Errc::unsupported);
        CHECK(contains(error.text, "incompat bit 5, 63"));
        CHECK(contains(error.text, "newer daxpin"));
    }
    SECTION("ro_compat: reading is allowed, and who opens the volume does no more") {
        superblock.ro_compat = 1;
        volume.write(superblock);
        CHECK(read_superblock(*volume.device).has_value());
    }
    SECTION("compat bits are ignored") {
        superblock.compat = ~std::uint64_t{0};
        volume.write(superblock);
        CHECK(volume.is_whole());
    }
}

TEST_CASE("label: a newer format version is refused", "[label]") {
    Labelled volume;
    auto label = label_for(*volume.device);
    label.format_version = format::version + 1;
    const auto superblock = superblock_for(*volume.device);
    REQUIRE(write_labels(*volume.device, label, &superblock).has_value());
    CHECK(read_label(*volume.device).code() == Errc::unsupported);
    CHECK(contains(volume.text(), "newer"));
}

TEST_CASE("label: a file cut short behind it is told with both sizes", "[label]") {
    Labelled volume;
    volume.write();
    volume.device.reset();
    REQUIRE(::truncate(volume.path.c_str(), 40 * block_size + 100) == 0);
    volume.device = open_or_fail(volume.path);
    CHECK(contains(volume.text(), std::to_string(40 * block_size)));
    CHECK(contains(volume.text(), std::to_string(blocks * block_size)));
    CHECK(contains(volume.text(), "truncate -s"));
    CHECK(read_superblock(*volume.device).code() == Errc::invalid);
    CHECK_FALSE(*restore_copies(*volume.device));
}

TEST_CASE("label: a file that grew still is its volume", "[label]") {
    Labelled volume;
    volume.write();
    volume.device.reset();
    REQUIRE(::truncate(volume.path.c_str(), 80 * block_size) == 0);
    volume.device = open_or_fail(volume.path);
    CHECK(volume.is_whole());
    CHECK_FALSE(*restore_copies(*volume.device));
}

TEST_CASE("label: another filesystem is named", "[label]") {
    const TempDirectory directory(on_disk);
    const std::string path = directory.file("ext4", 8 << 20);
    if (std::system(("/sbin/mke2fs -q -t ext4 " + path + " 2>/dev/null").c_str()) != 0) {
        test::skip("mke2fs is not there");
        return;
    }
    const auto device = open_or_fail(path);
    CHECK(contains(describe(read_label(*device).error()), "ext4"));
}

TEST_CASE("label: a crash while labels are written leaves none or a whole one", "[label]") {
    for (int budget = 0; budget < 11; ++budget) {
        CAPTURE(budget);
        Labelled volume;
        volume.fill(0, std::byte{0xcc}, block_size);
        StoppingDevice stopping(*volume.device, budget);
        const auto superblock = superblock_for(*volume.device);
        const auto written = write_labels(stopping, label_for(*volume.device), &superblock);
        CHECK(written.has_value() == (budget >= 10));
        CHECK(read_label(*volume.device).has_value() == volume.is_whole());
        CHECK(volume.is_whole() == (budget >= 4)); // superblock, label, drain, magic
    }
}

TEST_CASE("label: a crash while labels are wiped leaves the volume or none", "[label]") {
    bool finished = false;
    for (int budget = 0; !finished; ++budget) {
        CAPTURE(budget);
        Labelled volume;
        volume.write();
        StoppingDevice stopping(*volume.device, budget);
        finished = wipe_labels(stopping).has_value();
        CHECK(read_label(*volume.device).has_value() == volume.is_whole());
        if (finished) {
            CHECK_FALSE(volume.is_whole());
            for (const auto block : {std::uint64_t{0}, last_block}) {
                std::byte magic[8];
                REQUIRE(volume.device->read(block, magic).has_value());
                CHECK(std::memcmp(magic, "\0\0\0\0\0\0\0", 8) == 0);
            }
        }
    }
}

TEST_CASE("label: a crash in mkfs with the old UUID leaves no old superblock", "[label]") {
    for (int budget = 0; budget < 11; ++budget) {
        CAPTURE(budget);
        Labelled volume;
        volume.write();
        REQUIRE(wipe_labels(*volume.device).has_value());
        auto superblock = superblock_for(*volume.device);
        superblock.root = 77;
        StoppingDevice stopping(*volume.device, budget);
        static_cast<void>(
            write_labels(stopping, label_for(*volume.device), &superblock).has_value());
        const auto found = read_superblock(*volume.device);
        CHECK((!found || found->root == 77));
    }
}

TEST_CASE("label: only the roles that the number of devices allows are legal", "[label]") {
    Labelled volume;
    const auto count = GENERATE(1u, 2u);
    const auto wanted = count == 1 ? format::Role::both : format::Role::metadata;
    const auto superblock = superblock_for(*volume.device);
    for (std::uint32_t role = 0; role < 5; ++role) {
        CAPTURE(count, role);
        auto label = label_for(*volume.device, 0, count);
        label.role = role;
        REQUIRE(write_labels(*volume.device, label, &superblock).has_value());
        CHECK(read_label(*volume.device).has_value() ==
              (role == static_cast<std::uint32_t>(wanted)));
    }
}

} // namespace daxpin::device
