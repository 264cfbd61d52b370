// SPDX-License-Identifier: BSD-3-Clause
//
// The scan of /proc, on a made-up tree of it and on the real one.
#include "device/mappings.h"
#include "support/catch.h"
#include "temp_file.h"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace daxpin;
using device::MappableFile;
using device::MappedRange;
using device::MappingScan;

namespace {

namespace fs = std::filesystem;

// 8:1, inode 77: what the lines below map.
const MappableFile file{0x801, 77, 0};
constexpr pid_t self = 1000;

class Proc {
  public:
    Proc() {
        char path[] = "/tmp/daxpin-proc-XXXXXX";
        REQUIRE(::mkdtemp(path) != nullptr);
        root_ = path;
        fs::create_directories(root_ / "self/ns");
        link("pid", "pid:[4026531836]");
        link("user", "user:[4026531837]");
        capabilities("000001ffffffffff");
        add(1, "1");
        add(self, "5");
        maps(self, "7f0000000000-7f0000001000 rw-s 00000000 08:01 77 /dev/shm/volume\n"
                   "7f0000001000-7f0000002000 rw-s 00000000 08:01 78 /dev/shm/other\n");
    }
    ~Proc() { fs::remove_all(root_); }
    Proc(const Proc &) = delete;
    Proc &operator=(const Proc &) = delete;

    std::string path() const { return root_.string(); }
    void link(const std::string &name, const std::string &target) {
        fs::remove(root_ / "self/ns" / name);
        fs::create_symlink(target, root_ / "self/ns" / name);
    }
    void capabilities(const std::string &effective) {
        put("self/status", "Name:\tdaxpinfs\nCapEff:\t" + effective + "\nSeccomp:\t0\n");
    }
    void add(int pid, const std::string &start) {
        const std::string name = std::to_string(pid);
        fs::create_directories(root_ / name / "task" / name);
        put(name + "/stat", name + " (a) name) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 " +
                                start + " 20 21\n");
        maps(pid, "00400000-00401000 r-xp 00000000 08:01 12 /bin/true\n");
    }
    void maps(int pid, const std::string &lines) { put(std::to_string(pid) + "/maps", lines); }
    void put(const std::string &name, const std::string &content) {
        fs::create_directories((root_ / name).parent_path());
        std::ofstream(root_ / name) << content;
    }
    fs::path at(const std::string &name) const { return root_ / name; }

    Result<std::vector<MappedRange>> scan(const MappableFile &of = file) const {
        return MappingScan(path(), {{0x801, 78, 0}, of}, self).mapped();
    }

  private:
    fs::path root_;
};

} // namespace

TEST_CASE("mappings: what any process maps is found, by file and offset", "[device]") {
    Proc proc;
    REQUIRE(proc.scan());
    CHECK(proc.scan()->empty()); // what this process maps does not count
    proc.add(20, "30");
    proc.maps(20, "00400000-00401000 r-xp 00000000 08:01 12 /bin/true\n"
                  "7f0000000000-7f0000003000 rw-s 00005000 08:01 77 /dev/shm/volume (deleted)\n"
                  "7f1000000000-7f1000001000 rw-s 00005000 08:02 77 /elsewhere\n"
                  "7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0 [stack]\n");
    // Found in both scans.
    CHECK(*proc.scan() == std::vector<MappedRange>(2, {1, 0x5000, 0x3000}));
}

TEST_CASE("mappings: a process whose first thread has ended maps by the others", "[device]") {
    Proc proc;
    proc.add(20, "30");
    proc.maps(20, "");
    CHECK(proc.scan()->empty());
    proc.put("20/task/21/maps", "7f0000000000-7f0000001000 rw-s 00001000 08:01 77 /volume\n");
    CHECK(*proc.scan() == std::vector<MappedRange>(2, {1, 0x1000, 0x1000}));
}

TEST_CASE("mappings: a character device is known by its number, whatever the node", "[device]") {
    Proc proc;
    struct stat null {};
    REQUIRE(::stat("/dev/null", &null) == 0);
    const MappableFile device{0x801, 77, null.st_rdev};
    proc.add(20, "30");
    proc.maps(20, "7f0000000000-7f0000001000 rw-s 00002000 00:05 4 /container/dev/dax0.0\n"
                  "7f0000001000-7f0000002000 r--s 00002000 00:05 5 /other\n");
    // A mapping that cannot be looked at any more may have been one.
    CHECK(proc.scan(device).code() == Errc::busy);
    fs::create_directories(proc.at("20/map_files"));
    fs::create_symlink("/dev/null", proc.at("20/map_files/7f0000000000-7f0000001000"));
    fs::create_symlink("/dev/zero", proc.at("20/map_files/7f0000001000-7f0000002000"));
    CHECK(*proc.scan(device) == std::vector<MappedRange>(2, {1, 0x2000, 0x1000}));
}

TEST_CASE("mappings: what cannot be opened now is not gone", "[device]") {
    Proc proc;
    proc.add(20, "30");
    SECTION("stat") { // a folder cannot be read, but is there
        fs::remove(proc.at("20/stat"));
        fs::create_directory(proc.at("20/stat"));
    }
    SECTION("a stat that says nothing") {
        proc.put("20/stat", "20 (a) S 1 2 3\n");
    }
    SECTION("the threads") {
        proc.maps(20, "");
        fs::remove_all(proc.at("20/task"));
        proc.put("20/task", "");
    }
    CHECK(proc.scan().code() == Errc::busy);
}

TEST_CASE("mappings: a process that is gone maps nothing", "[device]") {
    Proc proc;
    proc.add(20, "30");
    SECTION("before its stat is read") {
        fs::remove(proc.at("20/stat"));
    }
    SECTION("before its threads are listed") {
        proc.maps(20, "");
        fs::remove_all(proc.at("20/task"));
    }
    CHECK(proc.scan().has_value());
}

TEST_CASE("mappings: without a view of every process there is no answer", "[device]") {
    Proc proc;
    SECTION("in another process namespace") {
        proc.link("pid", "pid:[4026532000]");
    }
    SECTION("in another user namespace") {
        proc.link("user", "user:[4026532001]");
    }
    SECTION("without CAP_SYS_PTRACE") {
        proc.capabilities("000001fffff7ffff");
    }
    CHECK(proc.scan().code() == Errc::access);
}

TEST_CASE("mappings: a file that is not recognized where it is mapped gives no answer",
          "[device]") {
    Proc proc;
    proc.maps(self, "7f0000000000-7f0000001000 rw-s 00000000 00:99 77 /btrfs/volume\n");
    CHECK(proc.scan().code() == Errc::access);
}

TEST_CASE("mappings: lines that cannot be understood are no answer", "[device]") {
    Proc proc;
    proc.add(20, "30");
    proc.maps(20, "7f0000000000 rw-s\n");
    CHECK(proc.scan().code() == Errc::busy);
}

namespace {

// Whoever reads the maps of this process, a pipe, lets change() happen first; once.
template <typename Change> void let_change(Proc &proc, int pid, Change change) {
    const int fd = ::open(proc.at(std::to_string(pid) + "/maps").c_str(), O_WRONLY);
    change();
    fs::remove(proc.at(std::to_string(pid) + "/maps"));
    proc.maps(pid, "");
    ::close(fd);
}

void add_pipe(Proc &proc, int pid) {
    const auto maps = proc.at(std::to_string(pid) + "/maps");
    fs::create_directories(maps.parent_path());
    fs::remove(maps);
    ::mkfifo(maps.c_str(), 0600);
    proc.put(std::to_string(pid) + "/stat",
             "1 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 30 20 21\n");
}

// What a scan finds while another process runs `meanwhile`.
template <typename Run> Result<std::vector<MappedRange>> scan_while(Proc &proc, Run meanwhile) {
    add_pipe(proc, 20);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        meanwhile();
        ::_exit(0);
    }
    auto found = proc.scan();
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    return found;
}

} // namespace

TEST_CASE("mappings: a process that comes up meanwhile is looked into as well", "[device]") {
    Proc proc;
    const std::string line = "7f0000000000-7f0000001000 rw-s 00001000 08:01 77 /volume\n";
    SECTION("a new number") {
        const auto found = scan_while(proc, [&] {
            let_change(proc, 20, [&] {
                proc.add(21, "40");
                proc.maps(21, line);
            });
        });
        CHECK(*found == std::vector<MappedRange>(2, {1, 0x1000, 0x1000}));
    }
    SECTION("a number used again") {
        const auto found = scan_while(proc, [&] {
            let_change(proc, 20, [&] {
                proc.add(1, "99");
                proc.maps(1, line);
            });
        });
        CHECK(*found == std::vector<MappedRange>(2, {1, 0x1000, 0x1000}));
    }
}

TEST_CASE("mappings: processes that come up without end are no answer", "[device]") {
    Proc proc;
    const auto found = scan_while(proc, [&] {
        for (int pid = 20;; ++pid)
            let_change(proc, pid, [&] { add_pipe(proc, pid + 1); });
    });
    CHECK(found.code() == Errc::busy);
}

TEST_CASE("mappings: what a child of ours maps is found in the real /proc", "[device]") {
    const device::TempDirectory folder;
    const std::string real = folder.file("mapped", std::uint64_t{64} << 10);
    const int fd = ::open(real.c_str(), O_RDWR);
    REQUIRE(::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED);
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        static_cast<void>(::mmap(nullptr, 8192, PROT_READ, MAP_SHARED, fd, 4096));
        static_cast<void>(::write(ready[1], "x", 1));
        ::pause();
        ::_exit(0);
    }
    char byte;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    MappingScan scan("/proc", {device::mappable_file(real).value()}, ::getpid());
    auto found = scan.mapped();
    for (int i = 0; i < 100 && !found && found.code() == Errc::busy; ++i)
        found = scan.mapped(); // other programs come and go
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(fd);
    if (!found) {
        test::skip(describe(found.error()));
        return;
    }
    // What it inherited, and its own, in both scans.
    REQUIRE(found->size() == 4);
    CHECK(std::ranges::count(*found, MappedRange{0, 4096, 8192}) == 2);
}
