// SPDX-License-Identifier: BSD-3-Clause
//
// What the library leaves as it was in the program that calls it: record locks, descriptors,
// signals.
#include "base/unique_fd.h"
#include "support/catch.h"
#include "unit/client/fake_filesystem.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <daxpin/daxpin.h>
#include <fcntl.h>
#include <filesystem>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

using daxpin::UniqueFd;
using daxpin::test::FakeFilesystem;

namespace {

constexpr std::uint64_t mib = 1 << 20;

struct Fixture {
    Fixture() : fs(4 * mib) {
        fs.add_extent(fs.add_device(16 * mib, DAXPIN_GRANULARITY_CACHE_LINE), 8 * mib, 4 * mib);
        fd = UniqueFd(fs.open_file(O_RDWR));
    }
    FakeFilesystem fs;
    UniqueFd fd;
};

// Whether another process is refused the lock that this one may have.
bool is_locked(const FakeFilesystem &fs) {
    const pid_t child = fork();
    if (child == 0) {
        const UniqueFd fd(fs.open_file(O_RDWR));
        struct flock lock {};
        lock.l_type = F_WRLCK;
        _exit(fcntl(fd.get(), F_SETLK, &lock) == 0 ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    return status != 0;
}

void lock(int fd) {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    REQUIRE(fcntl(fd, F_SETLK, &lock) == 0);
}

std::size_t open_descriptors() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

} // namespace

TEST_CASE("locks: a process keeps its record locks on a file that it maps", "[client]") {
    const Fixture f;
    REQUIRE_FALSE(is_locked(f.fs));
    lock(f.fd.get());
    REQUIRE(is_locked(f.fs));
    const unsigned flags = GENERATE(0U, DAXPIN_MAP_PREPARE);
    daxpin_map *map = nullptr;
    REQUIRE(daxpin_map_new_reserved(&map, f.fd.get(), 0, mib, 4 * mib, flags) == 0);
    CHECK(is_locked(f.fs));
    REQUIRE(daxpin_map_extend(map, f.fd.get(), 0, flags) == 0);
    CHECK(is_locked(f.fs));
    daxpin_file_status status;
    daxpin_map_info info;
    std::size_t count = 1;
    CHECK(daxpin_status(f.fd.get(), &status) == 0);
    CHECK(daxpin_pin(f.fd.get(), 0, 0, 0, 0) == 0);
    CHECK(daxpin_extend(f.fd.get(), 4 * mib) == 0);
    CHECK(daxpin_query(daxpin_map_get_address(map), 1, &info, &count) == 0);
    daxpin_map_delete(&map);
    CHECK(is_locked(f.fs));
}

TEST_CASE("locks: who maps prepares by himself, so that his signals interrupt it", "[client]") {
    Fixture f;
    daxpin_map *map = nullptr;
    f.fs.fail_with = EINTR;
    CHECK(daxpin_map_new(&map, f.fd.get(), 0, 0, DAXPIN_MAP_PREPARE) == -EINTR);
    CHECK(f.fs.failed_in == gettid());
    REQUIRE(daxpin_map_new(&map, f.fd.get(), 0, 0, DAXPIN_MAP_PREPARE) == 0);
    daxpin_map_delete(&map);
    const UniqueFd path(open((f.fs.folder() + "/file").c_str(), O_PATH | O_CLOEXEC));
    f.fs.fail_with = EBADF; // as the kernel does of a path alone
    REQUIRE(daxpin_map_new(&map, path.get(), 0, 0, DAXPIN_MAP_PREPARE) == 0);
    daxpin_map_delete(&map);
}

TEST_CASE("locks: a call leaves neither descriptors nor another mask of signals", "[client]") {
    const Fixture f;
    sigset_t before, after;
    sigemptyset(&before);
    sigaddset(&before, SIGUSR1);
    REQUIRE(pthread_sigmask(SIG_SETMASK, &before, nullptr) == 0);
    const auto open_before = open_descriptors();
    daxpin_map *map = nullptr;
    REQUIRE(daxpin_map_new(&map, f.fd.get(), 0, 0, 0) == 0);
    CHECK(open_descriptors() == open_before);
    REQUIRE(pthread_sigmask(SIG_SETMASK, nullptr, &after) == 0);
    CHECK(sigismember(&after, SIGUSR1) == 1);
    CHECK(sigismember(&after, SIGUSR2) == 0);
    daxpin_map_delete(&map);
    sigemptyset(&before);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

// From now on these system calls fail with EPERM, as in a sandbox.
template <std::size_t Count> static bool forbid(const std::array<long, Count> &calls) {
    std::array<sock_filter, 2 * Count + 2> filter;
    std::size_t at = 0;
    filter[at++] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
    for (const long call : calls) {
        filter[at++] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1);
        filter[at++] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    }
    filter[at++] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const sock_fprog program{static_cast<unsigned short>(at), filter.data()};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

TEST_CASE("locks: a sandbox that refuses threads, or tables of their own, lets files be mapped",
          "[client]") {
    const Fixture f;
    const bool threads = GENERATE(false, true);
    const bool unshare = GENERATE(false, true);
    const pid_t child = fork();
    if (child == 0) {
        lock(f.fd.get());
        if (!(threads || forbid(std::array<long, 2>{SYS_clone3, SYS_clone})) ||
            !(!threads || forbid(std::array<long, 1>{SYS_close_range})) ||
            !(unshare || forbid(std::array<long, 1>{SYS_unshare})))
            _exit(2);
        daxpin_map *map = nullptr;
        if (daxpin_map_new(&map, f.fd.get(), 0, 0, 0) != 0)
            _exit(1);
        static_cast<char *>(daxpin_map_get_address(map))[0] = 'm';
        _exit(threads && is_locked(f.fs) ? 3 : 0);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    if (WEXITSTATUS(status) == 2)
        return daxpin::test::skip("no filter of system calls can be set here");
    CHECK(WEXITSTATUS(status) == (threads && unshare ? 3 : 0));
    CHECK(f.fs.read_device(0, 8 * mib, 1) == "m");
}
