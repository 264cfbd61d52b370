// SPDX-License-Identifier: BSD-3-Clause
#include "base/unique_fd.h"
#include "client/write_protect.h"
#include "support/catch.h"
#include "unit/client/no_descriptors.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

using daxpin::Errc;
using daxpin::UniqueFd;
using daxpin::client::DirtyTracker;
using daxpin::client::WriteProtect;
using daxpin::test::NoDescriptors;

namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t pages = 600;

using Range = std::pair<std::size_t, std::size_t>;

// A shared mapping of an ordinary file, and what watches it; null where the kernel cannot.
struct Watched {
    Watched() {
        char path[] = "/var/tmp/daxpin-watch-XXXXXX";
        file = UniqueFd(mkstemp(path));
        REQUIRE(file);
        unlink(path);
        REQUIRE(ftruncate(file.get(), pages * page) == 0);
        void *found =
            mmap(nullptr, pages * page, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
        REQUIRE(found != MAP_FAILED);
        bytes = static_cast<std::byte *>(found);
        bytes[3 * page] = std::byte{1}; // stored to before the watch
        auto made = WriteProtect::make(bytes, pages / 2 * page);
        if (made)
            tracker = *std::move(made);
        else
            daxpin::test::skip(made.error().text);
    }
    ~Watched() {
        tracker.reset();
        munmap(bytes, pages * page);
    }
    Watched(const Watched &) = delete;
    Watched &operator=(const Watched &) = delete;

    std::vector<Range> taken(std::size_t offset, std::size_t length) const {
        std::vector<Range> ranges;
        REQUIRE(tracker->take(offset, length, [&](std::size_t at, std::size_t count) {
            ranges.emplace_back(at, count);
        }));
        return ranges;
    }
    void store(std::size_t number) const { bytes[number * page + number] = std::byte{7}; }

    UniqueFd file;
    std::byte *bytes = nullptr;
    std::unique_ptr<DirtyTracker> tracker;
};

} // namespace

TEST_CASE("write-protect: a page that was stored to is given once", "[client]") {
    const Watched watched;
    if (!watched.tracker)
        return;
    CHECK(watched.taken(0, 300 * page).empty());
    watched.store(5);
    watched.store(6);
    watched.store(9);
    CHECK(watched.taken(0, 300 * page) ==
          std::vector<Range>{{5 * page, 2 * page}, {9 * page, page}});
    CHECK(watched.taken(0, 300 * page).empty());
    watched.store(5);
    CHECK(watched.taken(0, 300 * page) == std::vector<Range>{{5 * page, page}});
}

TEST_CASE("write-protect: more runs than one scan returns, and a part of them", "[client]") {
    const Watched watched;
    if (!watched.tracker)
        return;
    REQUIRE(watched.tracker->extend(pages * page));
    for (std::size_t number = 0; number < pages; number += 2)
        watched.store(number);
    CHECK(watched.taken(10 * page + 100, 2 * page) ==
          std::vector<Range>{{10 * page, page}, {12 * page, page}});
    CHECK(watched.taken(0, pages * page).size() == pages / 2 - 2);
    CHECK(watched.taken(0, pages * page).empty());
}

TEST_CASE("write-protect: a store by the kernel counts as well", "[client]") {
    const Watched watched;
    if (!watched.tracker)
        return;
    const UniqueFd zero(open("/dev/zero", O_RDONLY | O_CLOEXEC));
    REQUIRE(read(zero.get(), watched.bytes + 20 * page, 10) == 10);
    CHECK(watched.taken(0, 300 * page) == std::vector<Range>{{20 * page, page}});
}

TEST_CASE("write-protect: where nobody watches everything counts as dirty", "[client]") {
    const Watched watched;
    if (!watched.tracker)
        return;
    const pid_t child = fork();
    if (child == 0) {
        const auto ranges = watched.taken(2 * page, 3 * page);
        _exit(ranges == std::vector<Range>{{2 * page, 3 * page}} ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}

TEST_CASE("write-protect: what a child adds is dirty there, and not watched in its parent",
          "[client]") {
    const Watched watched;
    if (!watched.tracker)
        return;
    const std::vector<Range> added = {{310 * page, page}};
    const pid_t child = fork();
    if (child == 0) {
        if (!watched.tracker->extend(pages * page))
            _exit(2);
        _exit(watched.taken(310 * page, page) == added ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK(watched.taken(310 * page, page) == added);
    REQUIRE(watched.tracker->extend(pages * page));
    CHECK(watched.taken(310 * page, page).empty());
}

TEST_CASE("write-protect: a descriptor that became the program's own is not closed", "[client]") {
    Watched watched;
    if (!watched.tracker)
        return;
    for (int fd = watched.file.get() + 1; fd < 64; ++fd)
        if (char name[64] = {};
            readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), name, 63) > 0 &&
            std::string(name).find("userfaultfd") != std::string::npos)
            REQUIRE(dup2(watched.file.get(), fd) == fd);
    CHECK(watched.taken(page, page) == std::vector<Range>{{page, page}});
    CHECK(watched.tracker->extend(pages * page));
    CHECK(watched.taken(400 * page, page) == std::vector<Range>{{400 * page, page}});
    watched.tracker.reset();
    CHECK(fcntl(watched.file.get() + 1, F_GETFD) >= 0);
}

TEST_CASE("write-protect: without a descriptor there is no watch, and a sync flushes all",
          "[client]") {
    const Watched watched;
    if (!watched.tracker)
        return;
    const NoDescriptors none;
    CHECK(watched.taken(2 * page, 3 * page) == std::vector<Range>{{2 * page, 3 * page}});
    const auto other = WriteProtect::make(watched.bytes, page);
    REQUIRE_FALSE(other);
    CHECK(to_errno(other.error()) == EMFILE);
}

TEST_CASE("write-protect: no mapping, no watch", "[client]") {
    void *const none = mmap(nullptr, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(none != MAP_FAILED);
    munmap(none, page);
    CHECK_FALSE(WriteProtect::make(static_cast<std::byte *>(none), page));
}
