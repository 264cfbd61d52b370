// SPDX-License-Identifier: BSD-3-Clause
#include "client/deep_flush.h"
#include "client/sysfs.h"
#include "support/catch.h"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/mman.h>

using daxpin::client::deep_flush;
using daxpin::client::SystemPaths;
namespace fs = std::filesystem;

namespace {

// A device DAX 250:9 on a region of persistent memory, in a /sys of our own, and a page to flush.
struct Fixture {
    Fixture() {
        char folder[] = "/var/tmp/daxpin-deep-XXXXXX";
        REQUIRE(mkdtemp(folder) != nullptr);
        root = folder;
        const auto region = root / "sys/devices/ndbus0/region7";
        fs::create_directories(region / "dax7.0");
        fs::create_directories(root / "sys/dev/char");
        fs::create_symlink(region / "dax7.0", root / "sys/dev/char/250:9");
        flushed = region / "deep_flush";
        std::ofstream(flushed) << "0";
        void *found =
            mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        REQUIRE(found != MAP_FAILED);
        page = static_cast<std::byte *>(found);
    }
    ~Fixture() {
        munmap(page, 8192);
        fs::remove_all(root);
    }
    Fixture(const Fixture &) = delete;
    Fixture &operator=(const Fixture &) = delete;

    daxpin_device device(std::uint32_t number, const std::string &path) const {
        daxpin_device about{};
        about.number = number;
        path.copy(about.path, sizeof about.path - 1);
        return about;
    }
    bool flush(const daxpin_device &about) const {
        return deep_flush(about, page + 100, 5000, SystemPaths{root / "proc", root / "sys"})
            .has_value();
    }
    std::string written() const {
        std::string text;
        std::ifstream(flushed) >> text;
        return text;
    }

    fs::path root, flushed;
    std::byte *page;
};

} // namespace

TEST_CASE("deep flush: of device DAX by its number, wherever the path leads here", "[client]") {
    const Fixture f;
    const auto *path = GENERATE("/nowhere", "/dev/null", "/etc/passwd");
    CHECK(f.flush(f.device(250 << 20 | 9, path)));
    CHECK(f.written() == "1");
}

TEST_CASE("deep flush: device DAX on no region of persistent memory has nothing deeper",
          "[client]") {
    const Fixture f;
    CHECK(f.flush(f.device(250 << 20 | 8, "/nowhere")));
    CHECK(f.written() == "0");
}

TEST_CASE("deep flush: a file is written back, whatever stands at its path here", "[client]") {
    const Fixture f;
    const auto *path = GENERATE("/nowhere", "/dev/null");
    CHECK(f.flush(f.device(0, path)));
    CHECK(f.written() == "0");
}
