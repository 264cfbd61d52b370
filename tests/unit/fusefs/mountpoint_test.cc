// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/mountpoint.h"

#include "support/catch.h"

#include <cstdlib>
#include <unistd.h>

using namespace daxpin;
using namespace daxpin::fusefs;

namespace {

const std::string mountinfo =
    "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
    "40 22 0:35 / /mnt/a\\040b rw,nosuid - fuse.daxpinfs /dev/dax0.0 rw,user_id=0\n"
    "41 22 0:36 / /mnt/auto rw - autofs systemd-1 rw\n"
    "42 22 0:37 / /mnt/twice rw shared:2 master:3 - tmpfs none rw\n"
    "43 42 0:38 / /mnt/twice rw shared:2 master:3 - fuse.daxpinfs none rw\n";

// A folder of its own, removed at the end.
class Scratch {
  public:
    Scratch() {
        char name[] = "/tmp/daxpin-mountpoint-XXXXXX";
        REQUIRE(::mkdtemp(name) != nullptr);
        path_ = name;
    }
    ~Scratch() { ::rmdir(path_.c_str()); }
    const std::string &path() const { return path_; }

  private:
    std::string path_;
};

} // namespace

TEST_CASE("mountinfo: a mount is found by its unescaped path", "[fusefs]") {
    CHECK(lists_mount(mountinfo, "/mnt/a b"));
    CHECK_FALSE(lists_mount(mountinfo, "/mnt/a"));
    CHECK_FALSE(lists_mount(mountinfo, "/mnt/a\\040b"));
}

TEST_CASE("mountinfo: an automounter's mount may be mounted over", "[fusefs]") {
    CHECK_FALSE(lists_mount(mountinfo, "/mnt/auto"));
}

TEST_CASE("mountinfo: the topmost mount tells the connection", "[fusefs]") {
    CHECK(mounted_minor(mountinfo, "/mnt/twice") == 38U);
    CHECK(mounted_minor(mountinfo, "/mnt/a b") == 35U);
    CHECK_FALSE(mounted_minor(mountinfo, "/nowhere"));
    CHECK_FALSE(mounted_minor("garbage\n\n1 2 3", "/"));
}

TEST_CASE("mount point: an existing directory becomes an absolute path", "[fusefs]") {
    const Scratch scratch;
    const auto found = check_mountpoint(scratch.path() + "/./");
    REQUIRE(found);
    CHECK(*found == scratch.path());
}

TEST_CASE("mount point: what cannot be mounted on is refused with a remedy", "[fusefs]") {
    const Scratch scratch;
    const auto missing = check_mountpoint(scratch.path() + "/missing");
    REQUIRE_FALSE(missing);
    CHECK(missing.code() == Errc::not_found);
    CHECK_THAT(missing.error().text, Catch::Contains("missing") && Catch::Contains("mkdir"));
    const auto file = check_mountpoint("/proc/self/exe");
    REQUIRE_FALSE(file);
    CHECK(file.code() == Errc::not_directory);
    const auto busy = check_mountpoint("/proc");
    REQUIRE_FALSE(busy);
    CHECK(busy.code() == Errc::busy);
    CHECK_THAT(busy.error().text, Catch::Contains("umount /proc"));
}

TEST_CASE("device: below the mount point it is refused", "[fusefs]") {
    CHECK_FALSE(check_apart("/mnt/volume.img", "/mnt"));
    CHECK_FALSE(check_apart("/volume.img", "/"));
    CHECK(check_apart("/mnt2/volume.img", "/mnt"));
    CHECK(check_apart("/dev/dax0.0", "/mnt"));
}

TEST_CASE("device: a missing one names mkfs", "[fusefs]") {
    const auto missing = check_device_path("/nowhere/at/all");
    REQUIRE_FALSE(missing);
    CHECK_THAT(missing.error().text,
               Catch::Contains("/nowhere/at/all") && Catch::Contains("mkfs.daxpinfs"));
}
