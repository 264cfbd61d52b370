// SPDX-License-Identifier: BSD-3-Clause
#include "base/unique_fd.h"
#include "device/device_table.h"
#include "device/sigbus.h"
#include "support/catch.h"
#include "temp_file.h"

#include <array>
#include <csignal>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace daxpin::device {
namespace {

constexpr std::uint64_t file_bytes = 16 * block_size;
constexpr std::uint64_t bad = 4 * block_size;

std::unique_ptr<Device> poisoned_device(const TempDirectory &directory, Domain domain) {
    OpenOptions options;
    options.domain = domain;
    auto device = open_or_fail(directory.file("a", file_bytes), options);
    poison(*device, bad);
    return device;
}

} // namespace

TEST_CASE("poison: every access to a bad page is an error and the process lives", "[poison]") {
    const TempDirectory directory;
    const auto domain = GENERATE(Domain::byte, Domain::cache_line, Domain::page, Domain::none);
    const auto device = poisoned_device(directory, domain);
    std::vector<std::byte> data(1000, std::byte{7});
    const std::array<std::byte, block_size> image{};
    volatile std::size_t seen = 0;
    volatile std::byte last{};
    const auto look_at_each = [&](const std::byte *bytes) {
        for (std::size_t i = 0; i < 1000; ++i) {
            last = bytes[i];
            seen = i + 1;
        }
    };
    for (int round = 0; round < 3; ++round) {
        CHECK(device->look(bad - 500, 1000, look_at_each).code() == Errc::io);
        CHECK(seen == 500); // it ends there
        CHECK(device->look(bad + block_size, 1000, look_at_each).has_value());
        CHECK(seen == 1000);
        CHECK(device->read(bad, data).code() == Errc::io);
        CHECK(device->read(bad - 100, data).code() == Errc::io);
        CHECK(device->store8(bad + 8, 1).code() == Errc::io);
        for (const auto kind : {StoreKind::cached, StoreKind::nontemporal}) {
            CHECK(device->copy(bad + 5, data, kind).code() == Errc::io);
            CHECK(device->copy(bad - 500, data, kind).code() == Errc::io);
            CHECK(device->set(bad + block_size - 1, std::byte{1}, 1, kind).code() == Errc::io);
        }
        CHECK(device->patch(bad, image, std::vector<Device::Part>{{8, 16}}).code() == Errc::io);
        CHECK(device->patch(bad + block_size, image, std::vector<Device::Part>{{8, 16}}));
        CHECK(device->read(bad - data.size(), data).has_value());
        CHECK(device->read(bad + block_size, data).has_value());
    }
    CHECK(device->drain().has_value());
}

TEST_CASE("poison: each thread has its own way back", "[poison]") {
    const TempDirectory directory;
    const auto device = poisoned_device(directory, Domain::cache_line);
    std::vector<std::thread> threads;
    std::atomic<int> wrong = 0;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            std::byte out[64];
            for (int round = 0; round < 500; ++round) {
                wrong += device->read(bad, out).has_value();
                wrong += !device->read(0, out).has_value();
            }
        });
    for (auto &thread : threads)
        thread.join();
    CHECK(wrong == 0);
}

TEST_CASE("poison: a file cut short under the mapping is an error", "[poison]") {
    const TempDirectory directory;
    const std::string path = directory.file("a", file_bytes);
    const auto device = open_or_fail(path);
    REQUIRE(::truncate(path.c_str(), block_size) == 0);
    std::byte out[8];
    CHECK(device->read(0, out).has_value());
    CHECK(device->read(2 * block_size, out).code() == Errc::io);
}

TEST_CASE("poison: a fault outside guarded accesses ends the process as ever", "[poison]") {
    const TempDirectory directory;
    const auto device = poisoned_device(directory, Domain::cache_line);
    const volatile std::byte *raw = device->view().data();
    const auto fault = [&] { (void)raw[bad]; };
    const auto fault_of_another_range = [&] {
        (void)guarded(device->view().data(), 64, [&] { (void)raw[bad]; });
    };
    for (const bool guarded_elsewhere : {false, true}) {
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            guarded_elsewhere ? fault_of_another_range() : fault();
            ::_exit(0);
        }
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        // A sanitizer's handler, which ours passes the signal on to, exits instead.
        CHECK(status != 0);
        if (WIFSIGNALED(status))
            CHECK(WTERMSIG(status) == SIGBUS);
    }
}

TEST_CASE("poison: a rewrite of the whole block brings a file's page back", "[poison]") {
    const TempDirectory directory;
    const auto domain = GENERATE(Domain::cache_line, Domain::page);
    const auto device = poisoned_device(directory, domain);
    const std::vector<std::byte> data(block_size, std::byte{9});
    CHECK(device->rewrite(bad, data).has_value());
    std::vector<std::byte> back(block_size);
    REQUIRE(device->read(bad, back).has_value());
    CHECK(back == data);
    CHECK(device->copy(bad + 5, std::span(data).first(70), StoreKind::cached).has_value());
    CHECK(device->drain().has_value());
    // It is the file's page, not one of this process alone.
    OpenOptions look;
    look.read_only = true;
    look.exclusive = false;
    REQUIRE(open_or_fail(device->info().path, look)->read(bad, back).has_value());
    CHECK(back == data);
}

TEST_CASE("poison: a table finds out which blocks of a range failed", "[poison]") {
    const TempDirectory directory;
    std::vector<std::unique_ptr<Device>> devices;
    devices.push_back(poisoned_device(directory, Domain::cache_line));
    poison(*devices[0], bad + 2 * block_size);
    const DeviceTable table(std::move(devices));
    auto &known = table.bad_blocks();
    std::vector<std::byte> data(8 * block_size);
    REQUIRE(table.read(MediaBlock::at(0, 1), 0, data).code() == Errc::io);
    REQUIRE(known.all().size() == 2);
    CHECK(known.all()[0].block == MediaBlock::at(0, bad / block_size));
    CHECK(known.all()[1].block == MediaBlock::at(0, bad / block_size + 2));
    CHECK(known.take_reports().size() == 2);
    CHECK(known.version() == 2);
    CHECK(table.copy(MediaBlock::at(0, 4), 0, data, StoreKind::nontemporal).code() == Errc::io);
    volatile std::byte last{};
    const auto touch_last = [&](const std::byte *bytes) { last = bytes[block_size - 1]; };
    CHECK(table.look(MediaBlock::at(0, 4), 0, block_size, touch_last).code() == Errc::io);
    CHECK(known.version() == 2); // nothing new
    known.erase(MediaBlock::at(0, 4));
    CHECK(table.look(MediaBlock::at(0, 4), 0, block_size, touch_last).code() == Errc::io);
    CHECK(known.version() == 3);
    CHECK(table.look(MediaBlock::at(0, 5), 0, block_size, touch_last).has_value());
    CHECK(known.in({MediaBlock::at(0, 0), {4}}).empty());
    CHECK(known.in({MediaBlock::at(0, 4), {2}}).size() == 1);
    REQUIRE(known.in({MediaBlock::at(0, 5), {2}}).size() == 1);
    CHECK(known.in({MediaBlock::at(0, 5), {2}})[0].block == MediaBlock::at(0, 6));
    CHECK(known.in({MediaBlock::at(0, 4), {3}}).size() == 2);
    const auto view = table.at(0).view();
    known.erase(MediaBlock::at(0, 4));
    known.erase(MediaBlock::at(0, 6));
    table.note_unreadable(view.subspan(6 * block_size + 9, 1), format::BadBlockSource::reply);
    REQUIRE(known.all().size() == 1);
    CHECK(known.all()[0].source == format::BadBlockSource::reply);
    table.note_unreadable(data, format::BadBlockSource::reply); // not of the device
    CHECK(known.all().size() == 1);
}

TEST_CASE("poison: a file cut short is reported with its size, and not as bad blocks", "[poison]") {
    const TempDirectory directory;
    const std::string path = directory.file("a", file_bytes);
    std::vector<std::unique_ptr<Device>> devices;
    devices.push_back(open_or_fail(path));
    const DeviceTable table(std::move(devices));
    REQUIRE(::truncate(path.c_str(), 4 * block_size) == 0);
    CHECK(table.at(0).present_bytes() == 4 * block_size);
    std::vector<std::byte> data(8 * block_size);
    for (int round = 0; round < 2; ++round)
        CHECK(table.read(MediaBlock::at(0, 2), 0, data).code() == Errc::io);
    CHECK(table.bad_blocks().empty());
    const auto reports = table.bad_blocks().take_reports();
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].find("has shrunk from 65536 to 16384 bytes") != std::string::npos);
    CHECK(reports[0].find("truncate -s 65536") != std::string::npos);
}

TEST_CASE("poison: lines that cannot be written back fail every drain from then on", "[poison]") {
    const TempDirectory directory;
    const std::string path = directory.file("a", file_bytes);
    OpenOptions options;
    options.domain = Domain::cache_line;
    const auto device = open_or_fail(path, options);
    REQUIRE(device->store8(8 * block_size, 1).has_value());
    REQUIRE(::truncate(path.c_str(), block_size) == 0);
    device->flush(8 * block_size, 8);
    CHECK(device->drain().code() == Errc::io);
    CHECK(device->drain().code() == Errc::io);
}

} // namespace daxpin::device
