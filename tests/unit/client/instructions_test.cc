// SPDX-License-Identifier: BSD-3-Clause
//
// Which instructions the library executes, counted by single-stepping it: where the caches are in
// the persistence domain, or the memory is volatile, none writes a line back.
#include "base/unique_fd.h"
#include "support/catch.h"
#include "unit/client/fake_filesystem.h"
#include "unit/client/stepped_child.h"

#include <array>
#include <cstring>
#include <daxpin/daxpin.h>
#include <fcntl.h>
#include <functional>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)

using daxpin::UniqueFd;
using daxpin::test::FakeFilesystem;
using daxpin::test::SteppedChild;

namespace {

struct Counts {
    unsigned write_backs = 0; // CLWB, CLFLUSHOPT, CLFLUSH
    unsigned fences = 0;      // SFENCE
};

void count(Counts &counts, const std::array<unsigned char, 8> &code) {
    std::size_t at = 0;
    const bool operand_size = code[at] == 0x66;
    at += operand_size ? 1 : 0;
    at += (code[at] & 0xf0) == 0x40 ? 1 : 0; // REX
    if (code[at] != 0x0f || code[at + 1] != 0xae)
        return;
    const unsigned extension = code[at + 2] >> 3 & 7;
    const bool memory = code[at + 2] >> 6 != 3;
    if (memory && (extension == 7 || (operand_size && extension == 6)))
        ++counts.write_backs;
    if (!memory && extension == 7)
        ++counts.fences;
}

// Of `body`, run in a child.
Counts instructions_of(const std::function<void()> &body) {
    const SteppedChild child(body);
    Counts counts;
    while (child.step())
        count(counts, child.code());
    return counts;
}

constexpr std::size_t mib = 1 << 20;

struct Mapped {
    explicit Mapped(unsigned granularity) : fs(mib) {
        fs.add_extent(fs.add_device(mib, granularity), 0, mib);
        const UniqueFd fd(fs.open_file(O_RDWR));
        REQUIRE(daxpin_map_new(&map, fd.get(), 0, 0, 0) == 0);
        bytes = static_cast<char *>(daxpin_map_get_address(map));
        std::memset(bytes, 1, mib);
    }
    ~Mapped() { daxpin_map_delete(&map); }
    Mapped(const Mapped &) = delete;
    Mapped &operator=(const Mapped &) = delete;
    FakeFilesystem fs;
    daxpin_map *map = nullptr;
    char *bytes = nullptr;
};

} // namespace

TEST_CASE("instructions: no line is written back where that is not needed", "[client]") {
    const unsigned granularity = GENERATE(DAXPIN_GRANULARITY_BYTE, DAXPIN_GRANULARITY_NONE);
    const Mapped mapped(granularity);
    CHECK(daxpin_dirty_track(mapped.map, DAXPIN_TRACK_FINE) == 0);
    const auto counts = instructions_of([&] {
        daxpin_persist(mapped.map, mapped.bytes, 4096);
        daxpin_memcpy(mapped.map, mapped.bytes, "0123456789", 10, 0);
        daxpin_memset_persist(mapped.map, mapped.bytes, 5, 200);
        daxpin_memmove_persist(mapped.map, mapped.bytes, mapped.bytes + 1, 200);
        daxpin_dirty_mark(mapped.map, mapped.bytes, 4096);
        daxpin_sync(mapped.map, 0, 0);
    });
    CHECK(counts.write_backs == 0);
    CHECK(counts.fences > 0); // of non-temporal stores
}

TEST_CASE("instructions: persist writes back each line of the range once", "[client]") {
    const Mapped mapped(DAXPIN_GRANULARITY_CACHE_LINE);
    const auto counts = instructions_of([&] { daxpin_persist(mapped.map, mapped.bytes + 60, 68); });
    CHECK(counts.write_backs == 2);
    CHECK(counts.fences == 1);
}

TEST_CASE("instructions: a file on two kinds of devices has each written back by what it needs",
          "[client]") {
    FakeFilesystem fs(2 * mib);
    fs.add_extent(fs.add_device(mib, DAXPIN_GRANULARITY_CACHE_LINE), 0, mib);
    fs.add_extent(fs.add_device(mib, DAXPIN_GRANULARITY_PAGE), 0, mib);
    const UniqueFd fd(fs.open_file(O_RDWR));
    daxpin_map *map = nullptr;
    REQUIRE(daxpin_map_new_reserved(&map, fd.get(), 0, GENERATE(0U, 8192U), 2 * mib, 0) == 0);
    REQUIRE(daxpin_map_extend(map, fd.get(), 0, 0) == 0);
    char *const bytes = static_cast<char *>(daxpin_map_get_address(map));
    char *const second = bytes + mib;
    fs.cannot_sync = {reinterpret_cast<std::uintptr_t>(second) - 1};
    CHECK(daxpin_map_get_granularity(map) == DAXPIN_GRANULARITY_PAGE);
    const auto counts_of_both = [&](auto body) {
        const auto before = fs.synced();
        CHECK(body() == 0);
        CHECK(fs.synced() - before == 1);
        return instructions_of(body);
    };
    const auto counts = counts_of_both([&] { return daxpin_persist(map, second - 128, 4096); });
    CHECK(counts.write_backs == 2);
    CHECK(counts.fences > 0);
    CHECK(counts_of_both([&] { return daxpin_sync(map, mib - 64, 128); }).write_backs == 1);
    CHECK(counts_of_both([&] { return daxpin_memset(map, second - 192, 1, 256, 0); }).write_backs ==
          3);
    CHECK(instructions_of([&] { daxpin_persist(map, second, 4096); }).write_backs == 0);
    daxpin_map_delete(&map);
}

TEST_CASE("instructions: sync writes back what is marked in its range, then once all", "[client]") {
    const Mapped mapped(DAXPIN_GRANULARITY_CACHE_LINE);
    SECTION("no tracking: all of the range") {
        CHECK(instructions_of([&] { daxpin_sync(mapped.map, 4096, 8192); }).write_backs == 128);
    }
    SECTION("fine") {
        REQUIRE(daxpin_dirty_track(mapped.map, DAXPIN_TRACK_FINE) == 0);
        CHECK(instructions_of([&] { daxpin_sync(mapped.map, 0, 0); }).write_backs == 0);
        daxpin_dirty_mark(mapped.map, mapped.bytes + 100, 1);
        daxpin_dirty_mark(mapped.map, mapped.bytes + 8192, 65);
        daxpin_memset(mapped.map, mapped.bytes + 65536, 3, 64, DAXPIN_F_NOFLUSH);
        daxpin_memmove(mapped.map, mapped.bytes + 131072, mapped.bytes + 131136, 128,
                       DAXPIN_F_NOFLUSH);
        CHECK(instructions_of([&] { daxpin_sync(mapped.map, 8192, 4096); }).write_backs == 2);
        CHECK(instructions_of([&] { daxpin_sync(mapped.map, 0, 0); }).write_backs == 4);
        CHECK(instructions_of([&] { daxpin_sync(mapped.map, 0, 0); }).write_backs == 0);
    }
    SECTION("coarse") {
        REQUIRE(daxpin_dirty_track(mapped.map, DAXPIN_TRACK_COARSE) == 0);
        daxpin_dirty_mark(mapped.map, mapped.bytes + 100, 1);
        daxpin_dirty_mark(mapped.map, mapped.bytes + 8192, 65);
        CHECK(instructions_of([&] { daxpin_sync(mapped.map, 8192, 1); }).write_backs == 64);
        CHECK(instructions_of([&] { daxpin_sync(mapped.map, 0, 0); }).write_backs == 64);
    }
}

// A sync in a child that dies after that many atomic operations, in taking and flushing too; what
// it wrote back before. The last of them returned.
static Counts sync_dies(daxpin_map *map, unsigned operations) {
    const SteppedChild child([&] { daxpin_sync(map, 0, 0); });
    Counts counts;
    for (;;) {
        constexpr unsigned char lock_prefix = 0xf0;
        const bool atomic = child.code()[0] == lock_prefix;
        if (!child.step())
            return counts;
        count(counts, child.code());
        if (atomic && --operations == 0)
            return counts;
    }
}

TEST_CASE("tracking: what a sync had taken as it died is flushed by those who map more",
          "[client]") {
    const unsigned mode = GENERATE(DAXPIN_TRACK_COARSE, DAXPIN_TRACK_FINE);
    unsigned lines = 0;
    for (unsigned operations = 1; lines == 0; ++operations) {
        FakeFilesystem fs(2 * mib);
        fs.add_extent(fs.add_device(2 * mib, DAXPIN_GRANULARITY_CACHE_LINE), 0, 2 * mib);
        const UniqueFd fd(fs.open_file(O_RDWR));
        daxpin_map *map = nullptr;
        REQUIRE(daxpin_map_new_reserved(&map, fd.get(), 0, mib, 2 * mib, 0) == 0);
        REQUIRE(daxpin_dirty_track(map, mode) == 0);
        int dead[2];
        REQUIRE(pipe(dead) == 0);
        const pid_t smaller = fork();
        if (smaller == 0) {
            char told;
            _exit(read(dead[0], &told, 1) == 1 && daxpin_sync(map, 0, 0) == 0 ? 0 : 1);
        }
        REQUIRE(daxpin_map_extend(map, fd.get(), 0, 0) == 0);
        daxpin_dirty_mark(map, static_cast<char *>(daxpin_map_get_address(map)) + mib + 5000, 1);
        lines = sync_dies(map, operations).write_backs;
        int status = -1;
        REQUIRE(write(dead[1], "d", 1) == 1);
        REQUIRE(waitpid(smaller, &status, 0) == smaller);
        REQUIRE(status == 0);
        INFO("died after " << operations << " operations, having flushed " << lines << " lines");
        if (lines == 0)
            REQUIRE(instructions_of([&] { daxpin_sync(map, 0, 0); }).write_backs > 0);
        daxpin_map_delete(&map);
        close(dead[0]);
        close(dead[1]);
    }
}

TEST_CASE("tracking: one mode a mapping; ranges outside of it are refused", "[client]") {
    const Mapped mapped(DAXPIN_GRANULARITY_CACHE_LINE);
    CHECK(daxpin_err_to_errno(daxpin_dirty_track(mapped.map, 0)) == EINVAL);
    CHECK(daxpin_err_to_errno(daxpin_dirty_track(mapped.map, 5)) == EINVAL);
    CHECK(daxpin_dirty_track(mapped.map, DAXPIN_TRACK_COARSE) == 0);
    CHECK(daxpin_dirty_track(mapped.map, DAXPIN_TRACK_COARSE) == 0);
    CHECK(daxpin_err_to_errno(daxpin_dirty_track(mapped.map, DAXPIN_TRACK_FINE)) == EBUSY);
    CHECK(daxpin_err_to_errno(daxpin_dirty_mark(mapped.map, mapped.bytes + mib, 1)) == EINVAL);
    CHECK(daxpin_err_to_errno(daxpin_dirty_mark(mapped.map, mapped.bytes - 1, 1)) == EINVAL);
    CHECK(daxpin_err_to_errno(daxpin_sync(mapped.map, mib, 1)) == EINVAL);
    CHECK(daxpin_err_to_errno(daxpin_sync(mapped.map, 1, mib)) == EINVAL);
    CHECK(daxpin_sync(mapped.map, mib, 0) == 0);
}

#endif
