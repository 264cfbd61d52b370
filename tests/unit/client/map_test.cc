// SPDX-License-Identifier: BSD-3-Clause
//
// daxpin_map and its leases against a filesystem that is played by the test.
#include "base/unique_fd.h"
#include "client/device.h"
#include "support/catch.h"
#include "unit/client/map_fixture.h"
#include "unit/client/no_descriptors.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <daxpin/daxpin.hpp>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <memory>
#include <pthread.h>
#include <string>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace daxpin::test;
using daxpin::UniqueFd;

TEST_CASE("map: the extents of a file are one range in the file's order", "[client]") {
    Fixture f;
    const auto whole = map(f.fd.get());
    CHECK(daxpin_map_get_size(whole.get()) == 4 * mib);
    std::memcpy(bytes(whole) + 2 * mib - 2, "left", 4);
    CHECK(f.fs.read_device(0, 10 * mib - 2, 2) == "le");
    CHECK(f.fs.read_device(0, 4 * mib, 2) == "ft");
    CHECK(daxpin_persist(whole.get(), bytes(whole), 4 * mib) == 0);
}

TEST_CASE("map: the same range for writing again, only poll(2) is asked", "[client]") {
    Fixture f;
    const auto first = map(f.fd.get());
    CHECK(f.fs.asked() == 4); // LEASE, EXTENTS, DEVICE, STATUS
    f.fs.forget_asked();
    const auto second = map(f.fd.get());
    const auto part = map(f.fd.get(), mib, 2 * mib);
    CHECK(f.fs.asked() == 0);
    CHECK(f.fs.polled() == 2);
    std::memcpy(bytes(first) + 2 * mib - 2, "left", 4);
    CHECK(std::memcmp(bytes(second) + 2 * mib - 2, "left", 4) == 0);
    CHECK(std::memcmp(bytes(part) + mib - 2, "left", 4) == 0);
}

TEST_CASE("map: the same range again takes a new lease if one was asked back", "[client]") {
    Fixture f;
    const bool writable = GENERATE(true, false);
    const int fd = writable ? f.fd.get() : f.reader.get();
    const auto first = map(fd);
    f.fs.asked_back = true;
    f.fs.extents.clear();
    f.fs.add_extent(0, 12 * mib, 4 * mib);
    f.fs.generation += GENERATE(0U, 1U); // the map changes later, or has changed
    f.fs.forget_asked();
    const auto second = map(fd);
    CHECK(f.fs.asked() == 4);
    if (writable) {
        bytes(second)[0] = 'n';
        CHECK(f.fs.read_device(0, 12 * mib, 1) == "n");
    }
    f.fs.asked_back = false; // its holders are gone
    f.fs.forget_asked();
    const auto third = map(fd);
    CHECK(f.fs.asked() == (writable ? 0 : 1));
}

TEST_CASE("map: a range beyond the known lease needs a lease of its own", "[client]") {
    Fixture f;
    const auto part = map(f.fd.get(), mib, mib);
    f.fs.forget_asked();
    const auto more = map(f.fd.get(), mib, mib + 1);
    CHECK(f.fs.asked() == 4);
}

TEST_CASE("map: the lease is forgotten with its last mapping", "[client]") {
    Fixture f;
    auto first = map(f.fd.get());
    auto second = map(f.fd.get());
    first.reset();
    f.fs.forget_asked();
    auto third = map(f.fd.get());
    CHECK(f.fs.asked() == 0);
    second.reset();
    third.reset();
    const auto fourth = map(f.fd.get());
    CHECK(f.fs.asked() == 4);
}

TEST_CASE("map: reading and writing have leases of their own", "[client]") {
    Fixture f;
    const auto writer = map(f.fd.get());
    f.fs.forget_asked();
    const auto reader = map(f.reader.get());
    CHECK(f.fs.asked() == 4);
    CHECK(bytes(reader)[0] == 0);
}

TEST_CASE("map: again for reading, the generation is asked for and nothing else", "[client]") {
    Fixture f;
    const auto first = map(f.reader.get());
    f.fs.forget_asked();
    const auto second = map(f.reader.get());
    CHECK(f.fs.asked() == 1);

    SECTION("a map that has changed is read anew") {
        const unsigned device = f.fs.add_device(4 * mib, DAXPIN_GRANULARITY_CACHE_LINE);
        f.fs.extents.clear();
        f.fs.add_extent(device, 0, 4 * mib);
        ++f.fs.generation;
        f.fs.forget_asked();
        const auto third = map(f.reader.get());
        CHECK(f.fs.asked() == 5); // the check, and a new lease
        f.fs.forget_asked();
        const auto fourth = map(f.reader.get());
        CHECK(f.fs.asked() == 1);
        const auto writer = map(f.fd.get());
        bytes(writer)[5] = 'n';
        CHECK(bytes(fourth)[5] == 'n');
        CHECK(bytes(first)[5] == 0);
    }
}

TEST_CASE("map: a block map that changes while it is mapped is mapped again", "[client]") {
    Fixture f;
    f.fs.changes_to_come = 5;
    const auto settled = map(f.reader.get());
    CHECK(f.fs.changes_to_come == 0);

    f.fs.changes_to_come = 1000;
    daxpin_map *none = nullptr;
    CHECK(daxpin_err_to_errno(daxpin_map_new(&none, f.reader.get(), 0, 4096, 0)) == ESTALE);
    CHECK(none == nullptr);
}

TEST_CASE("map: a hole and a misaligned extent are refused", "[client]") {
    Fixture f;
    daxpin_map *none = nullptr;
    SECTION("hole at the end") {
        f.fs.extents.pop_back();
        CHECK(daxpin_err_to_errno(daxpin_map_new(&none, f.fd.get(), 0, 0, 0)) == EINVAL);
        CHECK(map(f.fd.get(), 0, 2 * mib) != nullptr);
    }
    SECTION("hole in the middle") {
        f.fs.extents[0].length -= 4096;
        CHECK(daxpin_err_to_errno(daxpin_map_new(&none, f.fd.get(), 0, 0, 0)) == EINVAL);
    }
    SECTION("unit of 2 MiB") {
        const unsigned device = f.fs.add_device(8 * mib, DAXPIN_GRANULARITY_CACHE_LINE, 2 * mib);
        f.fs.extents.clear();
        f.fs.add_extent(device, mib, 4 * mib);
        CHECK(daxpin_err_to_errno(daxpin_map_new(&none, f.fd.get(), 0, 0, 0)) == EINVAL);
    }
}

TEST_CASE("map: whole mapping units are mapped, also beyond the end of the file", "[client]") {
    FakeFilesystem fs(3 * mib + 100);
    const unsigned device = fs.add_device(8 * mib, DAXPIN_GRANULARITY_CACHE_LINE, 2 * mib);
    fs.add_extent(device, 2 * mib, 4 * mib);
    const UniqueFd fd(fs.open_file(O_RDWR));
    const auto whole = map(fd.get());
    CHECK(daxpin_map_get_size(whole.get()) == 3 * mib + 100);
    bytes(whole)[4 * mib - 1] = 'u'; // the file owns its last unit
    CHECK(fs.read_device(device, 6 * mib - 1, 1) == "u");
    fs.resize(4 * mib);
    fs.forget_asked();
    CHECK(daxpin_map_extend(whole.get(), fd.get(), 0, 0) == 0);
    CHECK(daxpin_map_get_size(whole.get()) == 4 * mib);
    CHECK(fs.asked() == 0); // it was mapped already
}

TEST_CASE("map: the errno of a refused lease is the caller's, with a line of text", "[client]") {
    Fixture f;
    for (const int number : {EBUSY, EPERM, EDQUOT, EROFS}) {
        f.fs.fail_with = number;
        daxpin_map *none = nullptr;
        CHECK(daxpin_err_to_errno(daxpin_map_new(&none, f.fd.get(), 0, 0, 0)) == number);
        CHECK(std::strlen(daxpin_errormsg()) > 10);
    }
}

TEST_CASE("map: EBUSY tells what may be in the way", "[client]") {
    Fixture f;
    daxpin_map *none = nullptr;
    const bool prepare = GENERATE(false, true);
    f.fs.fail_with = EBUSY;
    CHECK(daxpin_map_new(&none, f.fd.get(), 0, 0, prepare ? DAXPIN_MAP_PREPARE : 0) == -EBUSY);
    const std::string said = daxpin_errormsg();
    CHECK(said.find("O_DIRECT") != std::string::npos);
    CHECK((said.find("somebody leases") != std::string::npos) == prepare);
}

TEST_CASE("map: what is not on a daxpin filesystem is told so before all else", "[client]") {
    FakeFilesystem fs(0);
    const UniqueFd fd(fs.open_file(O_RDWR));
    daxpin_map *none = nullptr;
    CHECK(daxpin_map_new(&none, fd.get(), 0, 0, 0) == -EINVAL);
    fs.abi = 0; // knows none of the ioctls
    CHECK(daxpin_map_new(&none, fd.get(), 0, 0, 0) == -ENOTTY);
    fs.resize(mib);
    const UniqueFd writer(fs.open_file(O_WRONLY));
    CHECK(daxpin_map_new(&none, writer.get(), 0, 0, 0) == -ENOTTY);
    fs.abi = DAXPIN_ABI;
    CHECK(daxpin_map_new(&none, writer.get(), 0, 0, 0) == -EBADF);
}

namespace {

// Another volume's.
daxpin::format::DeviceLabel strange_label() {
    daxpin::format::DeviceLabel label{};
    label.magic = daxpin::format::label_magic;
    label.crc = daxpin::client::checksum(label);
    return label;
}

void write_label(const std::string &path, const daxpin::format::DeviceLabel &label) {
    const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    REQUIRE(pwrite(fd.get(), &label, sizeof label, 0) == sizeof label);
}

} // namespace

TEST_CASE("map: a path that leads to another device here is refused", "[client]") {
    Fixture f;
    CHECK(map(f.fd.get()) != nullptr);
    std::string path = f.fs.folder() + "/device0";
    SECTION("nothing there is a label") {
        std::filesystem::resize_file(path, 0);
        std::filesystem::resize_file(path, 17 * mib);
    }
    SECTION("another volume's label comes first") {
        write_label(path, strange_label());
    }
    SECTION("it is no device DAX") {
        f.fs.set_number(0, 7 << 20 | 3);
    }
    SECTION("it is another device DAX, as it were") {
        path = "/dev/null";
        f.fs.set_number(0, 7 << 20 | 3);
        f.fs.set_path(0, path);
    }
    daxpin_map *none = nullptr;
    CHECK(daxpin_err_to_errno(daxpin_map_new(&none, f.fd.get(), 0, 0, 0)) == ENODEV);
    CHECK(daxpin_errormsg() == path + " is not the filesystem's device here: in another mount "
                                      "namespace the path must lead to the same one");
}

TEST_CASE(
    "map: where the platform promises MAP_SYNC and it is refused, nothing is mapped for writing",
    "[client]") {
    const unsigned granularity = GENERATE(DAXPIN_GRANULARITY_CACHE_LINE, DAXPIN_GRANULARITY_BYTE);
    Fixture f(granularity);
    f.fs.set_flags(0, 0);
    daxpin_map *none = nullptr;
    CHECK(daxpin_err_to_errno(daxpin_map_new(&none, f.fd.get(), 0, 0, 0)) == EOPNOTSUPP);
    CHECK(std::string(daxpin_errormsg()).find("MAP_SYNC") != std::string::npos);
    CHECK(map(f.reader.get()) != nullptr);
}

TEST_CASE("map: volatile and ordinary files are mapped without MAP_SYNC", "[client]") {
    const unsigned granularity = GENERATE(DAXPIN_GRANULARITY_NONE, DAXPIN_GRANULARITY_PAGE);
    Fixture f(granularity);
    f.fs.set_flags(0, 0);
    CHECK(map(f.fd.get()) != nullptr);
}

namespace {

// Takes the place of device DAX with pages of 2 MiB: its number is told, and it maps anywhere.
unsigned add_huge_device(FakeFilesystem &fs) {
    const unsigned device = fs.add_device(8 * mib, DAXPIN_GRANULARITY_CACHE_LINE, 2 * mib);
    fs.set_path(device, "/dev/zero");
    fs.set_number(device, 1 << 20 | 5);
    return device;
}

int watch(const MapPointer &map) {
    return daxpin_err_to_errno(daxpin_dirty_track(map.get(), DAXPIN_TRACK_WRITE_PROTECT));
}

} // namespace

TEST_CASE("track: the kernel is not to watch device DAX whose pages cannot be split", "[client]") {
    FakeFilesystem fs(4 * mib);
    const unsigned huge = add_huge_device(fs);
    const UniqueFd fd(fs.open_file(O_RDWR));
    SECTION("from the start") {
        fs.add_extent(huge, 2 * mib, 4 * mib);
        const auto whole = map(fd.get());
        CHECK(watch(whole) == EOPNOTSUPP);
        CHECK(std::string(daxpin_errormsg()).find("marks") != std::string::npos);
        CHECK(daxpin_dirty_track(whole.get(), DAXPIN_TRACK_MARKS) == 0);
    }
    SECTION("where a mapping grows") {
        fs.add_extent(fs.add_device(8 * mib, DAXPIN_GRANULARITY_CACHE_LINE), 0, 2 * mib);
        const auto growing = map(fd.get(), 0, 2 * mib, 4 * mib);
        if (const int failed = watch(growing))
            return daxpin::test::skip(std::strerror(failed));
        fs.add_extent(huge, 2 * mib, 2 * mib);
        CHECK(daxpin_err_to_errno(daxpin_map_extend(growing.get(), fd.get(), 0, 0)) == EOPNOTSUPP);
        CHECK(daxpin_map_get_size(growing.get()) == 2 * mib);
    }
}

TEST_CASE("map: a label that is damaged says nothing, its copy counts", "[client]") {
    Fixture f;
    auto label = strange_label();
    label.crc = label.crc + 1;
    write_label(f.fs.folder() + "/device0", label);
    CHECK(map(f.fd.get()) != nullptr);
}

TEST_CASE("map: what a system call fails with is told, whatever it is", "[client]") {
    Fixture f;
    daxpin_map *made = nullptr;
    const auto failure = [&] {
        return daxpin_err_to_errno(daxpin_map_new(&made, f.fd.get(), 0, 0, 0));
    };
    SECTION("no descriptor is left") {
        const NoDescriptors none;
        CHECK(failure() == EMFILE);
    }
    SECTION("the daemon is gone") {
        f.fs.fail_with = ENOTCONN;
        CHECK(failure() == ENOTCONN);
    }
    CHECK(daxpin_errormsg() != std::string());
}

TEST_CASE("map: a daemon that does not know a request is told apart from no daxpin filesystem",
          "[client]") {
    Fixture f;
    daxpin_map *made = nullptr;
    f.fs.unknown = DAXPIN_IOC_LEASE;
    f.fs.abi = 7;
    CHECK(daxpin_err_to_errno(daxpin_map_new(&made, f.fd.get(), 0, 0, 0)) == EOPNOTSUPP);
    CHECK(said("version 7"));
    f.fs.abi = 0;
    CHECK(daxpin_err_to_errno(daxpin_map_new(&made, f.fd.get(), 0, 0, 0)) == ENOTTY);
    CHECK(said("not on a daxpin filesystem"));
    CHECK(made == nullptr);
}

TEST_CASE("map: what its stores need is told", "[client]") {
    const unsigned granularity = GENERATE(DAXPIN_GRANULARITY_BYTE, DAXPIN_GRANULARITY_CACHE_LINE,
                                          DAXPIN_GRANULARITY_PAGE, DAXPIN_GRANULARITY_NONE);
    Fixture f(granularity);
    const auto whole = map(f.fd.get());
    CHECK(daxpin_map_get_granularity(whole.get()) == granularity);
}

TEST_CASE("memmove: what overlaps is moved whole, upwards and downwards", "[client]") {
    Fixture f(GENERATE(DAXPIN_GRANULARITY_CACHE_LINE, DAXPIN_GRANULARITY_PAGE));
    const auto whole = map(f.fd.get());
    char *const at = bytes(whole) + mib;
    const auto check = [&](std::size_t length, std::size_t distance, unsigned flags) {
        CAPTURE(length, distance, flags);
        std::string content(length, '\0');
        for (std::size_t i = 0; i < length; ++i)
            content[i] = static_cast<char>(i * 31 >> 3);
        std::memcpy(at, content.data(), length);
        CHECK(daxpin_memmove(whole.get(), at + distance, at, length, flags) == 0);
        CHECK(std::memcmp(at + distance, content.data(), length) == 0);
        CHECK(daxpin_memmove(whole.get(), at, at + distance, length, flags) == 0);
        CHECK(std::memcmp(at, content.data(), length) == 0);
        CHECK(daxpin_memmove_persist(whole.get(), at + 1, at, length) == 0);
        CHECK(std::memcmp(at + 1, content.data(), length) == 0);
    };
    for (const std::size_t length : {1U, 63U, 64U, 4096U, 300'001U})
        for (const std::size_t distance : {1U, 8U, 64U, 1000U})
            for (const unsigned flags :
                 {0U, DAXPIN_F_NONTEMPORAL, DAXPIN_F_TEMPORAL, DAXPIN_F_NOFLUSH, DAXPIN_F_NODRAIN})
                check(length, distance, flags);
    CHECK(daxpin_err_to_errno(daxpin_memmove(whole.get(), at, at, 1, 0x40)) == EINVAL);
}

TEST_CASE("map: threads that map and unmap one file share what they have", "[client][threads]") {
    Fixture f;
    std::atomic<int> failed = 0;
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread)
        threads.emplace_back([&, thread] {
            for (int i = 0; i < 200; ++i) {
                daxpin_map *own = nullptr;
                const int fd = thread % 2 == 0 ? f.fd.get() : f.reader.get();
                if (daxpin_map_new(&own, fd, (i % 4) * mib, mib, 0) != 0) {
                    ++failed;
                    continue;
                }
                if (thread % 2 == 0)
                    static_cast<char *>(daxpin_map_get_address(own))[thread] = 't';
                daxpin_map_delete(&own);
            }
        });
    for (auto &thread : threads)
        thread.join();
    CHECK(failed == 0);
}

TEST_CASE("map: a child made while threads map can map, extend and unmap", "[client][threads]") {
    Fixture f;
    std::atomic<bool> stop = false;
    std::thread busy([&] {
        while (!stop) {
            daxpin_map *own = nullptr;
            if (daxpin_map_new(&own, f.fd.get(), 0, mib, 0) == 0)
                daxpin_map_delete(&own);
        }
    });
    auto before = map(f.fd.get(), 0, mib, 4 * mib);
    for (int i = 0; i < 50; ++i) {
        const pid_t child = fork();
        if (child == 0) {
            alarm(20); // a lock that nobody holds any more
            daxpin_map *own = nullptr;
            bool good = daxpin_map_new(&own, f.fd.get(), 0, 0, 0) == 0;
            good = good && daxpin_map_extend(before.get(), f.fd.get(), 0, 0) == 0;
            good = good && daxpin_map_delete(&own) == 0;
            before.reset();
            _exit(good ? 0 : 1);
        }
        int status = -1;
        REQUIRE(waitpid(child, &status, 0) == child);
        CHECK(status == 0);
    }
    stop = true;
    busy.join();
}

// What `body` gives in a thread of a child whose first thread, of which /proc/self tells, has
// ended.
static int without_first_thread(int fd, const std::function<int()> &body) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);
        std::thread([&] {
            while (access(("/proc/self/fd/" + std::to_string(fd)).c_str(), F_OK) == 0)
                usleep(1000);
            _exit(body());
        }).detach();
        syscall(SYS_exit, 0); // the thread, and no destructors
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_CASE("map: nothing needs the first thread of the process", "[client]") {
    Fixture f;
    daxpin_map *own = nullptr;
    CHECK(without_first_thread(f.fd.get(), [&] {
              return daxpin_err_to_errno(daxpin_map_new(&own, f.fd.get(), 0, 0, 0));
          }) == 0);
    const auto before = map(f.fd.get());
    CHECK(without_first_thread(f.fd.get(), [&] {
              daxpin_map_info info;
              std::size_t count = 1;
              return daxpin_query(bytes(before), mib, &info, &count) == 0 ? int(count) : -1;
          }) == 1);
    const int watched = daxpin_dirty_track(before.get(), DAXPIN_TRACK_WRITE_PROTECT);
    CHECK(without_first_thread(f.fd.get(), [&] {
              auto other = map(f.fd.get());
              return daxpin_dirty_track(other.get(), DAXPIN_TRACK_WRITE_PROTECT) == watched ? 0 : 1;
          }) == 0);
}

TEST_CASE("map: a thread that is to be cancelled is when the function has returned", "[client]") {
    const unsigned granularity = GENERATE(DAXPIN_GRANULARITY_CACHE_LINE, DAXPIN_GRANULARITY_PAGE);
    Fixture f(granularity);
    auto before = map(f.fd.get(), 0, mib, 4 * mib);
    const pid_t child = fork();
    if (child == 0) {
        bool returned = false;
        std::thread([&] {
            daxpin_map *own = nullptr;
            daxpin_map_info info;
            std::size_t count = 1;
            pthread_cancel(pthread_self());
            daxpin_dirty_track(before.get(), DAXPIN_TRACK_WRITE_PROTECT);
            bool good = daxpin_map_extend(before.get(), f.fd.get(), 0, 0) == 0;
            good = good && daxpin_map_new(&own, f.fd.get(), 0, 0, 0) == 0;
            good = good && daxpin_memset(own, daxpin_map_get_address(own), 1, 100, 0) == 0;
            good = good && daxpin_persist(own, daxpin_map_get_address(own), 100) == 0;
            good = good && daxpin_deep_flush(own, daxpin_map_get_address(own), 100) == 0;
            good = good && daxpin_sync(before.get(), 0, 0) == 0;
            good = good && daxpin_query(bytes(before), 1, &info, &count) == 0;
            good = good && daxpin_pin(f.fd.get(), 0, 0, 0, 0) == 0;
            daxpin_map_delete(&own);
            own = before.release();
            daxpin_map_delete(&own);
            returned = good;
            pthread_testcancel();
            returned = false;
        }).join();
        _exit(returned ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}
