// SPDX-License-Identifier: BSD-3-Clause
#include "base/unique_fd.h"
#include "device/sigbus.h"
#include "support/catch.h"
#include "temp_file.h"

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
    for (int round = 0; round < 3; ++round) {
        CHECK(device->read(bad, data).code() == Errc::io);
        CHECK(device->read(bad - 100, data).code() == Errc::io);
        CHECK(device->store8(bad + 8, 1).code() == Errc::io);
        for (const auto kind : {StoreKind::cached, StoreKind::nontemporal}) {
            CHECK(device->copy(bad + 5, data, kind).code() == Errc::io);
            CHECK(device->copy(bad - 500, data, kind).code() == Errc::io);
            CHECK(device->set(bad + block_size - 1, std::byte{1}, 1, kind).code() == Errc::io);
        }
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

} // namespace daxpin::device
