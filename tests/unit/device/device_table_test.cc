// SPDX-License-Identifier: BSD-3-Clause
#include "device/device_table.h"

#include "support/catch.h"
#include "temp_file.h"

namespace daxpin::device {
namespace {

DeviceTable two_devices(const TempDirectory &directory) {
    std::vector<std::unique_ptr<Device>> devices;
    devices.push_back(open_or_fail(directory.file("a", 16 * block_size)));
    devices.push_back(open_or_fail(directory.file("b", 8 * block_size)));
    return DeviceTable(std::move(devices));
}

MediaRun run(unsigned device, std::uint64_t block, std::uint64_t count) {
    return {MediaBlock::at(device, block), BlockCount{count}};
}

} // namespace

TEST_CASE("device table: only runs that lie on a device are contained", "[table]") {
    const TempDirectory directory;
    const DeviceTable table = two_devices(directory);
    CHECK(table.contains(run(0, 0, 16)));
    CHECK(table.contains(run(1, 7, 1)));
    CHECK_FALSE(table.contains(run(1, 7, 2)));
    CHECK_FALSE(table.contains(run(1, 9, 0)));
    CHECK_FALSE(table.contains(run(2, 0, 1)));
    CHECK_FALSE(table.contains(run(15, 0, 1)));
    CHECK_FALSE(table.contains(run(0, (std::uint64_t{1} << 48) - 1, ~std::uint64_t{0})));
}

TEST_CASE("device table: an address leads to its device and block", "[table]") {
    const TempDirectory directory;
    const DeviceTable table = two_devices(directory);
    const MediaBlock block = MediaBlock::at(1, 3);
    const std::byte data[]{std::byte{1}, std::byte{2}, std::byte{3}};
    REQUIRE(table.copy(block, block_size + 10, data, StoreKind::cached).has_value());
    REQUIRE(table.set(block, 5, std::byte{9}, 2, StoreKind::nontemporal).has_value());
    table.flush(block, block_size + 10, sizeof(data));
    REQUIRE(table.drain().has_value());
    CHECK(table.address(MediaBlock::at(1, 4))[10] == std::byte{1});
    CHECK(table.at(1).view()[3 * block_size + 6] == std::byte{9});
    CHECK(table.at(0).view()[3 * block_size + 6] == std::byte{0});
    std::byte out[3];
    REQUIRE(table.read(block, block_size + 10, out).has_value());
    CHECK(out[2] == std::byte{3});
}

TEST_CASE("device table: device 0 holds the metadata", "[table]") {
    const TempDirectory directory;
    const DeviceTable table = two_devices(directory);
    CHECK(&table.metadata() == &table.at(0));
    CHECK(table.count() == 2);
}

} // namespace daxpin::device
