// SPDX-License-Identifier: BSD-3-Clause
#include "device/open.h"

#include "support/catch.h"
#include "temp_file.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace daxpin::device {
namespace {

constexpr std::uint64_t file_bytes = 16 * block_size;

bool contains(const std::string &text, const std::string &part) {
    return text.find(part) != std::string::npos;
}

std::string output_of(const std::string &command) {
    std::string output;
    std::array<char, 256> buffer;
    FILE *pipe = ::popen(command.c_str(), "r");
    REQUIRE(pipe != nullptr);
    while (std::fgets(buffer.data(), buffer.size(), pipe) != nullptr)
        output += buffer.data();
    ::pclose(pipe);
    return output.substr(0, output.find('\n'));
}

// While it lives nobody is root.
struct OrdinaryUser {
    OrdinaryUser() {
        if (was_root)
            REQUIRE(::seteuid(65534) == 0);
    }
    ~OrdinaryUser() {
        if (was_root)
            CHECK(::seteuid(0) == 0);
    }
    OrdinaryUser(const OrdinaryUser &) = delete;
    OrdinaryUser &operator=(const OrdinaryUser &) = delete;

    const bool was_root = ::geteuid() == 0;
};

} // namespace

TEST_CASE("open: a device in use is busy and its holder is named", "[open]") {
    const TempDirectory directory(on_disk);
    const std::string path = directory.file("a", file_bytes);
    CHECK_FALSE(lock_holder(path));
    auto first = open_or_fail(path);
    CHECK(lock_holder(path) == ::getpid());
    const auto second = open_device(path, {});
    REQUIRE_FALSE(second.has_value());
    CHECK(second.code() == Errc::busy);
    CHECK(contains(second.error().text, path));
    CHECK(contains(second.error().text, "process " + std::to_string(::getpid())));

    OpenOptions look;
    look.exclusive = false;
    look.read_only = true;
    CHECK(open_text(path, look).empty());
    look.exclusive = true;
    CHECK(contains(open_text(path, look), "in use"));
    first.reset();
    CHECK(open_text(path).empty());
}

TEST_CASE("open: a holder that is about to let go is waited for", "[open]") {
    const TempDirectory directory(on_disk);
    const std::string path = directory.file("a", file_bytes);
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) { // a daemon whose mount is gone
        const int fd = ::open(path.c_str(), O_RDWR);
        const char locked = ::flock(fd, LOCK_EX | LOCK_NB) == 0 ? 1 : 0;
        static_cast<void>(::write(ready[1], &locked, 1) == 1);
        ::usleep(300'000);
        ::_exit(0);
    }
    char locked = 0;
    REQUIRE(::read(ready[0], &locked, 1) == 1);
    REQUIRE(locked == 1);
    CHECK(open_text(path).empty());
    ::waitpid(child, nullptr, 0);
    ::close(ready[0]);
    ::close(ready[1]);
}

TEST_CASE("open: what cannot be a device is refused with its name and a remedy", "[open]") {
    const TempDirectory directory;
    const std::string &folder = directory.path();
    CHECK(open_device(folder + "/none", {}).code() == Errc::missing);
    CHECK(contains(open_text(folder + "/none"), folder + "/none: No such file"));
    CHECK(open_device(folder, {}).code() == Errc::invalid);
    CHECK(contains(open_text(folder), "is a directory"));
    CHECK(contains(open_text("/dev/null"), "a character device other than device DAX"));
    const std::string fifo = folder + "/fifo";
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    CHECK(contains(open_text(fifo), "neither a file nor a device"));
    CHECK(contains(open_text(directory.file("empty", 0)), "its size is 0 bytes"));
    CHECK(contains(open_text(directory.file("short", 4095)), "its size is 4095 bytes"));
}

TEST_CASE("open: a file that may not be opened says so", "[open]") {
    const OrdinaryUser user; // root may open everything
    const TempDirectory directory;
    const std::string path = directory.file("a", file_bytes);
    REQUIRE(::chmod(path.c_str(), 0) == 0);
    CHECK(open_device(path, {}).code() == Errc::access);
    CHECK(contains(open_text(path), "run as root"));
}

TEST_CASE("open: a block device is refused with the ndctl command", "[open]") {
    const TempDirectory directory(on_disk);
    const std::string image = directory.file("image", 1 << 20);
    const std::string loop =
        ::geteuid() == 0 ? output_of("/sbin/losetup --find --show " + image + " 2>/dev/null") : "";
    if (loop.empty()) {
        test::skip("no loop device can be made here");
        return;
    }
    const std::string text = open_text(loop);
    const auto code = open_device(loop, {}).code();
    CHECK(std::system(("/sbin/losetup --detach " + loop).c_str()) == 0);
    CHECK(code == Errc::invalid);
    CHECK(contains(text, loop + ": is a block device"));
    CHECK(contains(text, "ndctl create-namespace -f -e NAMESPACE -m devdax"));
    CHECK(contains(text, "DAX filesystem"));
}

TEST_CASE("open: the odd end of a file is not used", "[open]") {
    const TempDirectory directory;
    const auto device = open_or_fail(directory.file("a", file_bytes + 1000));
    CHECK(device->info().size == file_bytes);
    CHECK(device->view().size() == file_bytes);
}

TEST_CASE("open: every message is one line", "[open]") {
    const TempDirectory directory;
    for (const std::string &path : {directory.path(), directory.path() + "/none",
                                    std::string("/dev/null"), directory.file("empty", 0)})
        CHECK(open_text(path).find('\n') == std::string::npos);
}

} // namespace daxpin::device
