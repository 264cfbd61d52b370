// SPDX-License-Identifier: BSD-3-Clause
#include "base/env.h"

#include "base/uuid.h"
#include "support/catch.h"

#include <algorithm>
#include <ctime>
#include <fstream>
#include <string>
#include <vector>

namespace daxpin {

TEST_CASE("env: the clock is the machine's", "[env]") {
    const std::int64_t before = std::int64_t{std::time(nullptr)} - 1;
    const std::int64_t now = system_env().now_ns();
    CHECK(now / 1'000'000'000 >= before);
    CHECK(now / 1'000'000'000 <= before + 60);
}

TEST_CASE("env: random fills the whole buffer", "[env]") {
    std::vector<std::byte> buffer(1000);
    system_env().random(buffer);
    // 100 zero bytes in a row do not come by chance.
    for (std::size_t at = 0; at < buffer.size(); at += 100)
        CHECK_FALSE(std::all_of(buffer.begin() + static_cast<std::ptrdiff_t>(at),
                                buffer.begin() + static_cast<std::ptrdiff_t>(at) + 100,
                                [](std::byte value) { return value == std::byte{0}; }));
    CHECK(system_env().random64() != system_env().random64());
}

TEST_CASE("env: the boot id is the kernel's", "[env]") {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string text;
    REQUIRE(std::getline(file, text));
    CHECK(uuid_text(system_env().boot_id()) == text);
}

} // namespace daxpin
