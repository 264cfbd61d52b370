// SPDX-License-Identifier: BSD-3-Clause
#include "support/catch.h"
#include "temp_file.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace daxpin::device {
namespace {

constexpr std::uint64_t file_bytes = 64 * block_size;

OpenOptions with_domain(Domain domain) {
    OpenOptions options;
    options.domain = domain;
    return options;
}

std::vector<std::byte> pattern(std::size_t length, unsigned seed = 1) {
    std::vector<std::byte> data(length);
    for (std::size_t i = 0; i < length; ++i)
        data[i] = static_cast<std::byte>(i * 7 + seed);
    return data;
}

std::vector<std::byte> content(const Device &device, std::uint64_t offset, std::size_t length) {
    std::vector<std::byte> data(length);
    REQUIRE(device.read(offset, data).has_value());
    return data;
}

// Runs `act` in a child; the signal that ended it, 0 if none.
template <typename Act> int signal_of(Act act) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        std::freopen("/dev/null", "w", stderr);
        // Catch2 has handlers of its own, which would report a failure of this test.
        for (const int number : {SIGABRT, SIGSEGV})
            std::signal(number, SIG_DFL);
        act();
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

} // namespace

TEST_CASE("device: the platform tells the domain of memory and of disk", "[device]") {
    const TempDirectory memory(in_memory);
    const TempDirectory disk(on_disk);
    const auto volatile_device = open_or_fail(memory.file("a", file_bytes));
    CHECK(volatile_device->info().domain == Domain::none);
    CHECK_FALSE(volatile_device->info().domain_assumed);
    const auto disk_device = open_or_fail(disk.file("a", file_bytes));
    CHECK(disk_device->info().domain == Domain::page);
    CHECK_FALSE(disk_device->info().domain_assumed);
    CHECK(disk_device->info().mapping_unit == block_size);
}

TEST_CASE("device: an option sets the domain and marks it as assumed", "[device]") {
    const TempDirectory directory;
    const std::string path = directory.file("a", file_bytes);
    for (const Domain domain : {Domain::byte, Domain::cache_line, Domain::page, Domain::none}) {
        CAPTURE(to_string(domain));
        const auto device = open_or_fail(path, with_domain(domain));
        CHECK(device->info().domain == domain);
        CHECK(device->info().domain_assumed);
        CHECK(std::getenv("PMEM2_FORCE_GRANULARITY") == nullptr);
        CHECK(parse_domain(to_string(domain)) == domain);
    }
    CHECK_FALSE(parse_domain("pages"));
}

TEST_CASE("device: what was stored is in the file", "[device]") {
    const TempDirectory directory(on_disk);
    const std::string path = directory.file("a", file_bytes);
    const auto data = pattern(10000);
    for (const Domain domain : {Domain::byte, Domain::cache_line, Domain::page, Domain::none}) {
        const auto device = open_or_fail(path, with_domain(domain));
        REQUIRE(device->copy(77, data, StoreKind::nontemporal).has_value());
        REQUIRE(device->set(20000, std::byte{0x5a}, 5000, StoreKind::cached).has_value());
        REQUIRE(device->store8(40000, 0x1122334455667788).has_value());
        device->flush(20000, 5000);
        device->flush(40000, 8);
        REQUIRE(device->drain().has_value());
        REQUIRE(device->deep_flush(0, file_bytes).has_value());
        std::string all(file_bytes, '\0');
        std::ifstream(path, std::ios::binary).read(all.data(), file_bytes);
        CHECK(std::memcmp(all.data() + 77, data.data(), data.size()) == 0);
        CHECK(all.substr(20000, 5000) == std::string(5000, 'Z'));
        CHECK(all.substr(40000, 8) == "\x88\x77\x66\x55\x44\x33\x22\x11");
    }
}

TEST_CASE("device: a store at any offset and length leaves its neighbours alone", "[device]") {
    const TempDirectory directory;
    const auto domain = GENERATE(Domain::byte, Domain::cache_line, Domain::page);
    const auto kind = GENERATE(StoreKind::cached, StoreKind::nontemporal);
    const auto device = open_or_fail(directory.file("a", file_bytes), with_domain(domain));
    constexpr std::size_t window = 512;
    constexpr std::size_t start = 64;
    const auto source = pattern(window, 3);
    const std::vector<std::byte> background(window, std::byte{0xee});
    std::size_t wrong = 0;
    for (std::size_t offset = 0; offset < 64; ++offset) {
        for (std::size_t length = 0; length <= 330; ++length) {
            for (const bool copies : {true, false}) {
                REQUIRE(device->copy(0, background, StoreKind::cached).has_value());
                auto expected = background;
                const auto at = static_cast<std::ptrdiff_t>(start + offset);
                if (copies) {
                    // Sources have an alignment of their own.
                    const auto in = std::span(source).subspan(length % 13, length);
                    REQUIRE(device->copy(start + offset, in, kind).has_value());
                    std::ranges::copy(in, expected.begin() + at);
                } else {
                    REQUIRE(device->set(start + offset, std::byte{0x11}, length, kind).has_value());
                    std::fill_n(expected.begin() + at, length, std::byte{0x11});
                }
                wrong += content(*device, 0, window) != expected;
            }
        }
    }
    CHECK(wrong == 0);
    CHECK(device->drain().has_value());
}

TEST_CASE("device: a patch stores the parts it names and nothing else", "[device]") {
    const TempDirectory directory;
    const auto domain = GENERATE(Domain::byte, Domain::cache_line, Domain::page);
    const auto device = open_or_fail(directory.file("a", file_bytes), with_domain(domain));
    const auto image = pattern(block_size, 3);
    const std::vector<std::byte> background(3 * block_size, std::byte{0xee});
    REQUIRE(device->copy(0, background, StoreKind::cached).has_value());
    const std::vector<Device::Part> parts = {{0, 8}, {64, 1}, {129, 333}, {1024, 512}, {4093, 3}};
    auto expected = background;
    for (const auto &part : parts)
        std::ranges::copy(std::span(image).subspan(part.offset, part.length),
                          expected.begin() + block_size + part.offset);
    REQUIRE(device->patch(block_size, std::span<const std::byte, block_size>(image), parts));
    CHECK(content(*device, 0, background.size()) == expected);
    REQUIRE(device->patch(block_size, std::span<const std::byte, block_size>(image),
                          std::vector<Device::Part>{{0, block_size}}));
    CHECK(content(*device, block_size, block_size) == image);
}

TEST_CASE("device: a store does not even touch the pages beside it", "[device]") {
    const TempDirectory directory;
    const auto domain = GENERATE(Domain::byte, Domain::cache_line, Domain::page, Domain::none);
    const auto kind = GENERATE(StoreKind::cached, StoreKind::nontemporal);
    const auto device = open_or_fail(directory.file("a", file_bytes), with_domain(domain));
    poison(*device, 0);
    poison(*device, 2 * block_size);
    for (std::size_t length = 1; length <= 300; ++length) {
        const auto data = pattern(length);
        const std::uint64_t end = 2 * block_size;
        REQUIRE(device->copy(end - length, data, kind).has_value());
        REQUIRE(device->set(end - length, std::byte{1}, length, kind).has_value());
        REQUIRE(device->copy(block_size, data, kind).has_value());
        REQUIRE(device->set(block_size, std::byte{1}, length, kind).has_value());
    }
}

TEST_CASE("device: in domain page a drain writes back what its thread flushed, errors checked",
          "[device]") {
    const TempDirectory directory(on_disk);
    const auto device = open_or_fail(directory.file("a", file_bytes));
    REQUIRE(device->info().domain == Domain::page);
    const auto data = pattern(100);
    // msync of a page that is not mapped fails: whether drain() reports it tells what it wrote.
    const std::uint64_t gone = 8 * block_size;
    REQUIRE(device->copy(gone, data, StoreKind::cached).has_value());
    ::munmap(const_cast<std::byte *>(device->view().data()) + gone, block_size);

    SECTION("nothing recorded, nothing written") {
        CHECK(device->drain().has_value());
    }
    SECTION("another page") {
        REQUIRE(device->copy(block_size, data, StoreKind::nontemporal).has_value());
        device->flush(3 * block_size, 10);
        CHECK(device->drain().has_value());
    }
    SECTION("flushed") {
        device->flush(gone + 10, 10);
        CHECK(device->drain().code() == Errc::io);
        // The kernel tells of a lost page once; who drains later must hear of it too.
        CHECK(device->drain().code() == Errc::io);
    }
    SECTION("reached by the end of a range") {
        device->flush(gone - 10, 11);
        CHECK(device->drain().code() == Errc::io);
    }
    SECTION("one of many") {
        for (unsigned page = 0; page < 32; page += 2)
            device->flush(page * block_size, 1);
        CHECK(device->drain().code() == Errc::io);
    }
    SECTION("flushed by another thread") {
        std::thread([&] { device->flush(gone, 10); }).join();
        CHECK(device->drain().has_value());
    }
    SECTION("a thread that ended without a drain harms nobody") {
        std::thread([&] { device->flush(block_size, 10); }).join();
        CHECK(device->drain().has_value());
    }
}

TEST_CASE("device: a non-temporal store in domain page is written back by the drain", "[device]") {
    const TempDirectory directory(on_disk);
    const auto device = open_or_fail(directory.file("a", file_bytes));
    const bool copies = GENERATE(true, false);
    if (copies)
        REQUIRE(device->copy(5 * block_size, pattern(10), StoreKind::nontemporal).has_value());
    else
        REQUIRE(device->set(5 * block_size, std::byte{1}, 10, StoreKind::nontemporal).has_value());
    ::munmap(const_cast<std::byte *>(device->view().data()) + 5 * block_size, block_size);
    CHECK(device->drain().code() == Errc::io);
}

TEST_CASE("device: a store to a read-only device is a bug that ends the process", "[device]") {
    const TempDirectory directory;
    const std::string path = directory.file("a", file_bytes);
    OpenOptions options;
    options.read_only = true;
    const auto device = open_or_fail(path, options);
    CHECK(content(*device, 0, 8) == std::vector<std::byte>(8));
    CHECK(signal_of([&] { (void)device->store8(0, 1); }) == SIGABRT);
    CHECK(signal_of([&] { (void)device->set(0, std::byte{1}, 1, StoreKind::cached); }) == SIGABRT);
    // A store that passes the interface by faults.
    CHECK(signal_of([&] { *const_cast<std::byte *>(device->view().data()) = std::byte{1}; }) ==
          SIGSEGV);
}

TEST_CASE("device: a store beyond the end is a bug that ends the process", "[device]") {
    const TempDirectory directory;
    const auto device = open_or_fail(directory.file("a", file_bytes));
    CHECK(signal_of([&] { (void)device->store8(file_bytes, 1); }) == SIGABRT);
    CHECK(signal_of([&] { (void)device->store8(4, 1); }) == SIGABRT);
    std::byte out[2];
    CHECK(signal_of([&] { (void)device->read(file_bytes - 1, out); }) == SIGABRT);
}

TEST_CASE("device: the mapping is left out of core files", "[device]") {
    const TempDirectory directory;
    const auto device = open_or_fail(directory.file("core", file_bytes));
    std::ifstream maps("/proc/self/smaps");
    bool here = false;
    bool left_out = false;
    for (std::string line; std::getline(maps, line);) {
        if (line.find('-') != std::string::npos && line.find(':') > line.find('-'))
            here = line.find(directory.path()) != std::string::npos;
        if (here && line.starts_with("VmFlags:"))
            left_out = line.find(" dd") != std::string::npos;
    }
    CHECK(left_out);
}

} // namespace daxpin::device
