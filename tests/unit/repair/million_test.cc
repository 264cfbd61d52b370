// SPDX-License-Identifier: BSD-3-Clause
//
// A check and a repair of a million files within the time that a boot can wait. Hidden, as making
// them takes a minute: unit-repair "[million]".
#include "support/volume_fixture.h"
#include "unit/repair/harness.h"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <malloc.h>

using namespace daxpin;
using namespace daxpin::test;

namespace {

constexpr unsigned folders = 1000;
constexpr unsigned files_each = 1000;

double seconds_of(const std::function<void()> &action) {
    const auto start = std::chrono::steady_clock::now();
    action();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Kilobytes of private memory; the simulated media are shared memory.
long memory_kib() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("RssAnon:"))
            return std::stol(line.substr(8));
    return 0;
}

} // namespace

TEST_CASE("million: files are checked within ten seconds", "[.][million]") {
    VolumeFixture fixture(
        {.device_bytes = std::uint64_t{768} << 20, .journal_bytes = std::uint64_t{8} << 20});
    const volume::Caller user{};
    const InodeNumber top{format::root_inode};
    for (unsigned i = 0; i < folders; ++i) {
        const auto folder =
            fixture->make_node(user, top, "folder-" + std::to_string(i), {0040755, 0, {}});
        REQUIRE(folder);
        for (unsigned j = 0; j < files_each; ++j)
            REQUIRE(fixture->make_node(user, folder->number, "file-" + std::to_string(j),
                                       {0100644, 0, {}}));
    }
    fixture.unmount();
    malloc_trim(0); // what the volume used is not the check's
    const auto &media = fixture.all_media();
    fsck::Report report;
    long most = 0;
    const long before = memory_kib();
    const double check_seconds = seconds_of([&] {
        fsck::CheckOptions options;
        options.progress = [&](double) {
            most = std::max(most, memory_kib());
            return true;
        };
        report = fsck::check(open_table(media), options);
    });
    CHECK(report.clean());
    CHECK(report.counts.inodes == folders * files_each + folders + 1);
    std::printf("check: %.1f s, %ld MiB for %lu inodes, %lu nodes\n", check_seconds,
                (most - before) >> 10, report.counts.inodes, report.counts.nodes);
    CHECK(check_seconds < 10);
}
