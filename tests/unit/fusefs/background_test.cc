// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/background.h"

#include "base/log.h"
#include "support/catch.h"
#include "support/volume_fixture.h"

#include <chrono>
#include <mutex>
#include <sys/stat.h>

using namespace daxpin;
using namespace daxpin::fusefs;

namespace {

std::mutex lines_mutex;
std::vector<std::string> lines;

void keep(LogLevel, std::string_view line) {
    const std::lock_guard lock(lines_mutex);
    lines.emplace_back(line);
}

std::vector<std::string> logged() {
    const std::lock_guard lock(lines_mutex);
    return lines;
}

} // namespace

TEST_CASE("background: a device that fails is said once, and what becomes of the volume",
          "[fusefs]") {
    test::VolumeFixture fixture;
    volume::NewNode file;
    file.mode = S_IFREG | 0644;
    volume::Caller root;
    root.has_capability = [](int) { return true; };
    REQUIRE(fixture->make_node(root, InodeNumber{format::root_inode}, "file", file));
    fixture.media().fail_drains_from(1);
    lines.clear();
    set_log_sink(keep);
    {
        Background background(fixture.volume());
        background.start(); // writes back when no request has come for a while
        for (int i = 0; i < 500 && logged().empty(); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        background.kick();
        std::this_thread::sleep_for(std::chrono::milliseconds(500));
    }
    set_log_sink(nullptr);
    REQUIRE(lines.size() == 1);
    CHECK_THAT(lines[0], Catch::StartsWith("background work failed: ") &&
                             Catch::EndsWith("; the volume is read-only from now on"));
    CHECK(fixture->read_only());
}
