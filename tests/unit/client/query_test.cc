// SPDX-License-Identifier: BSD-3-Clause
#include "base/unique_fd.h"
#include "client/query.h"
#include "client/smaps.h"
#include "support/catch.h"
#include "unit/client/fake_filesystem.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <daxpin/daxpin.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <thread>
#include <unistd.h>

using daxpin::UniqueFd;
using daxpin::client::MapInfo;
using daxpin::client::parse_smaps;
using daxpin::client::query_process;
using daxpin::client::SystemPaths;
using daxpin::test::FakeFilesystem;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t mib = 1 << 20;

// A /proc and a /sys of our own, with one process 7 and one region of persistent memory.
class FakeSystem {
  public:
    FakeSystem() {
        char folder[] = "/var/tmp/daxpin-system-XXXXXX";
        REQUIRE(mkdtemp(folder) != nullptr);
        root_ = fs::absolute(folder);
        fs::create_directories(region());
        fs::create_directories(root_ / "sys/devices/hmem/dax2.0");
        fs::create_directories(root_ / "sys/bus/dax");
        fs::create_directories(root_ / "sys/dev/char");
        fs::create_directories(root_ / "sys/dev/block");
        fs::create_directories(root_ / "proc/7/map_files");
        add("char", 250, 1, region() / "dax1.0");
        fs::create_symlink(root_ / "sys/bus/dax", region() / "dax1.0/subsystem");
        add("char", 250, 2, root_ / "sys/devices/hmem/dax2.0");
        fs::create_symlink(root_ / "sys/bus/dax", root_ / "sys/devices/hmem/dax2.0/subsystem");
        add("block", 259, 0, region() / "namespace1.0/block/pmem1");
    }
    ~FakeSystem() { fs::remove_all(root_); }
    FakeSystem(const FakeSystem &) = delete;
    FakeSystem &operator=(const FakeSystem &) = delete;

    fs::path region() const { return root_ / "sys/devices/LNXSYSTM:00/ndbus0/region12"; }
    void set_domain(const char *domain) const {
        std::ofstream(region() / "persistence_domain") << domain << "\n";
    }
    void set_smaps(const std::string &text) const { std::ofstream(root_ / "proc/7/smaps") << text; }
    // What the mapping at [start, end) maps.
    bool set_character_device(const char *range, unsigned major, unsigned minor) const {
        const auto path = root_ / "proc/7/map_files" / range;
        if (mknod(path.c_str(), S_IFCHR | 0600, makedev(major, minor)) == 0)
            return true;
        daxpin::test::skip("mknod is not permitted here");
        return false;
    }
    MapInfo only(std::uint64_t start = 0, std::uint64_t end = UINT64_MAX) const {
        const auto infos = query_process(paths(), "7", start, end);
        REQUIRE(infos);
        REQUIRE(infos->size() == 1);
        return infos->front();
    }
    SystemPaths paths() const { return {root_ / "proc", root_ / "sys"}; }

  private:
    void add(const char *kind, unsigned major, unsigned minor, const fs::path &device) const {
        fs::create_directories(device);
        fs::create_symlink(device, root_ / "sys/dev" / kind /
                                       (std::to_string(major) + ":" + std::to_string(minor)));
    }
    fs::path root_;
};

const char *const dax_device = "7f0000000000-7f0000400000 rw-s 00200000 00:05 99   /dev/dax1.0\n"
                               "KernelPageSize:     2048 kB\n"
                               "VmFlags: rd wr sh mr mw me ms sf\n";

} // namespace

TEST_CASE("smaps: fields of a mapping, and names with blanks and newlines", "[client]") {
    std::istringstream text(
        "55d0-55e0 r-xp 00001000 fe:01 1234567                    /usr/bin/a b\\012c (deleted)\n"
        "Size:               4096 kB\nKernelPageSize:        4 kB\nAnonHugePages:      0 kB\n"
        "FilePmdMapped:      2048 kB\nVmFlags: rd ex mr mw me sd\n"
        "7000-8000 rw-p 00000000 00:00 0 \n"
        "KernelPageSize:        4 kB\nVmFlags: rd wr\n"
        "7fff000-7fff800 rw-s 00000000 00:00 0                          [stack]\n");
    const auto vmas = parse_smaps(text);
    REQUIRE(vmas.size() == 3);
    CHECK(vmas[0].start == 0x55d0);
    CHECK(vmas[0].end == 0x55e0);
    CHECK(vmas[0].offset == 0x1000);
    CHECK(vmas[0].device == makedev(0xfe, 1));
    CHECK(vmas[0].inode == 1234567);
    CHECK(vmas[0].path == "/usr/bin/a b\nc (deleted)");
    CHECK(vmas[0].page_size == 2 * mib);
    CHECK_FALSE(vmas[0].shared);
    CHECK_FALSE(vmas[0].writable);
    CHECK(vmas[1].path.empty());
    CHECK(vmas[1].page_size == 4096);
    CHECK(vmas[2].path == "[stack]");
    CHECK(vmas[2].shared);
}

TEST_CASE("query: device DAX by the domain of its region", "[client]") {
    const FakeSystem system;
    system.set_smaps(dax_device);
    if (!system.set_character_device("7f0000000000-7f0000400000", 250, 1))
        return;
    for (const auto &[domain, wanted] :
         {std::pair{"memory_controller", DAXPIN_GRANULARITY_CACHE_LINE},
          {"cpu_cache", DAXPIN_GRANULARITY_BYTE},
          {"unknown", DAXPIN_GRANULARITY_CACHE_LINE}}) {
        system.set_domain(domain);
        const auto info = system.only();
        CHECK(info.domain == wanted);
        CHECK(info.flags == (DAXPIN_MAP_INFO_DAX | DAXPIN_MAP_INFO_NO_FSYNC |
                             DAXPIN_MAP_INFO_SHARED | DAXPIN_MAP_INFO_WRITABLE));
        CHECK(info.page_size == 2 * mib);
    }
}

TEST_CASE("query: memory that no region has is volatile", "[client]") {
    const FakeSystem system;
    system.set_smaps(dax_device);
    if (!system.set_character_device("7f0000000000-7f0000400000", 250, 2))
        return;
    CHECK(system.only().domain == DAXPIN_GRANULARITY_NONE);
}

TEST_CASE("query: MAP_SYNC on a DAX filesystem needs no fsync", "[client]") {
    const FakeSystem system;
    system.set_domain("memory_controller");
    system.set_smaps("1000-3000 rw-s 00008000 103:00 12 /mnt/f\nVmFlags: rd wr sh sf\n");
    const auto info = system.only(0x2000, 0x2800);
    CHECK(info.flags == (DAXPIN_MAP_INFO_DAX | DAXPIN_MAP_INFO_NO_FSYNC | DAXPIN_MAP_INFO_SHARED |
                         DAXPIN_MAP_INFO_WRITABLE));
    CHECK(info.domain == DAXPIN_GRANULARITY_CACHE_LINE);
    CHECK(info.address == 0x2000);
    CHECK(info.length == 0x800);
    CHECK(info.file_offset == 0x9000);
}

TEST_CASE("query: what a private mapping stores reaches nobody", "[client]") {
    const FakeSystem system;
    system.set_domain("memory_controller");
    system.set_smaps("1000-3000 rw-p 00008000 103:00 12 /mnt/f\nVmFlags: rd wr sf\n");
    const auto info = system.only();
    CHECK(info.flags == (DAXPIN_MAP_INFO_DAX | DAXPIN_MAP_INFO_WRITABLE));
    CHECK(info.domain == DAXPIN_GRANULARITY_NONE);
}

// The descriptor by which this process reads the pipe; -1: not yet.
static int reader_of(const fs::path &pipe) {
    for (const auto &entry : fs::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        const int fd = std::stoi(entry.path().filename());
        if (fs::read_symlink(entry.path(), gone) == pipe &&
            (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
            return fd;
    }
    return -1;
}

TEST_CASE("query: a program that another thread starts meanwhile inherits nothing of it",
          "[client]") {
    const FakeSystem system;
    system.set_domain("memory_controller");
    system.set_smaps("1000-3000 rw-s 00008000 103:00 12 /mnt/f\nVmFlags: rd wr sh sf\n");
    const auto path = GENERATE(true, false) ? fs::path(system.paths().proc) / "7/smaps"
                                            : system.region() / "persistence_domain";
    const std::string content = [&] {
        std::ifstream file(path);
        return std::string(std::istreambuf_iterator<char>(file), {});
    }();
    fs::remove(path);
    REQUIRE(mkfifo(path.c_str(), 0600) == 0);
    int flags = 0;
    std::thread kernel([&] {
        const UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC)); // once it is being opened
        int reader;
        while ((reader = reader_of(path)) < 0)
            usleep(1000);
        flags = fcntl(reader, F_GETFD);
        static_cast<void>(write(file.get(), content.data(), content.size()) < 0);
    });
    const auto info = system.only();
    kernel.join();
    CHECK(flags == FD_CLOEXEC);
    CHECK(info.domain == DAXPIN_GRANULARITY_CACHE_LINE);
}

TEST_CASE("query: a process that is not there", "[client]") {
    CHECK(query_process({}, "0", 0, 1).error().code == daxpin::Errc::not_found);
}

TEST_CASE("query: this process's page cache, memory, and the library's own mappings", "[client]") {
    FakeFilesystem filesystem(2 * mib);
    filesystem.add_extent(filesystem.add_device(4 * mib, DAXPIN_GRANULARITY_CACHE_LINE), mib,
                          2 * mib);
    const UniqueFd fd(filesystem.open_file(O_RDWR));
    daxpin_map *map = nullptr;
    REQUIRE(daxpin_map_new(&map, fd.get(), 0, 0, 0) == 0);
    std::array<daxpin_map_info, 2> infos;

    std::size_t count = 2;
    const auto *const address = static_cast<char *>(daxpin_map_get_address(map));
    REQUIRE(daxpin_query(address + mib, 4096, infos.data(), &count) == 0);
    REQUIRE(count == 1);
    CHECK(infos[0].domain == DAXPIN_GRANULARITY_CACHE_LINE);
    CHECK(infos[0].flags == (DAXPIN_MAP_INFO_NO_FSYNC | DAXPIN_MAP_INFO_SHARED |
                             DAXPIN_MAP_INFO_WRITABLE | DAXPIN_MAP_INFO_LIBRARY));
    CHECK(infos[0].file_offset == 2 * mib);
    CHECK(std::string(infos[0].path).ends_with("/device0"));
    daxpin_map_delete(&map);
    count = 2;
    REQUIRE(daxpin_query(address + mib, 4096, infos.data(), &count) == 0);
    CHECK(count == 0);

    void *cached = mmap(nullptr, 8192, PROT_READ, MAP_SHARED, fd.get(), 4096);
    REQUIRE(cached != MAP_FAILED);
    count = 2;
    REQUIRE(daxpin_query(cached, 1, infos.data(), &count) == 0);
    REQUIRE(count == 1);
    CHECK(infos[0].flags == DAXPIN_MAP_INFO_SHARED);
    CHECK(infos[0].domain == DAXPIN_GRANULARITY_PAGE);
    CHECK(infos[0].file_offset == 4096);
    munmap(cached, 8192);

    count = 1;
    CHECK(daxpin_err_to_errno(daxpin_query(nullptr, SIZE_MAX, infos.data(), &count)) == ERANGE);
    CHECK(count > 1);
    const void *stack = __builtin_frame_address(0); // a sanitizer has locals elsewhere
    count = 2;
    REQUIRE(daxpin_query(stack, 1, infos.data(), &count) == 0);
    REQUIRE(count == 1);
    CHECK(infos[0].domain == DAXPIN_GRANULARITY_NONE);
    CHECK(infos[0].path == std::string("[stack]"));
}
