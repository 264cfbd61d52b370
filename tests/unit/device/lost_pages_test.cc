// SPDX-License-Identifier: BSD-3-Clause
#include "device/lost_pages.h"

#include "device/sigbus.h"
#include "support/catch.h"
#include "support/lost_page.h"

#include <array>
#include <sys/prctl.h>
#include <thread>

namespace daxpin::device {
namespace {

using test::tell_lost_page;

constexpr std::size_t page = 4096;
alignas(8 * page) std::array<std::byte, 128 * page> memory;
alignas(page) std::array<std::byte, page> elsewhere;

} // namespace

TEST_CASE("lost pages: whose memory it is learns of it, once", "[lost]") {
    install_sigbus_handler();
    CHECK(::prctl(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_EARLY);
    const auto told = lost_pages_told();
    REQUIRE(tell_lost_page(&memory[page + 70]));
    REQUIRE(tell_lost_page(&elsewhere[3]));
    CHECK(lost_pages_told() == told + 2);
    CHECK(take_lost_pages(memory) == std::vector<LostPage>{{&memory[page], page}});
    CHECK(take_lost_pages(memory).empty());
    CHECK(take_lost_pages(elsewhere).size() == 1);
}

TEST_CASE("lost pages: a larger page is told as a whole", "[lost]") {
    install_sigbus_handler();
    REQUIRE(tell_lost_page(&memory[11 * page + 5], 15));
    CHECK(take_lost_pages(memory) == std::vector<LostPage>{{&memory[8 * page], 8 * page}});
    REQUIRE(tell_lost_page(&memory[11 * page + 5], 0)); // the kernel does not know how large
    CHECK(take_lost_pages(memory) == std::vector<LostPage>{{&memory[11 * page], page}});
}

TEST_CASE("lost pages: those that find no room do no harm", "[lost]") {
    install_sigbus_handler();
    for (std::size_t i = 0; i < 100; ++i)
        REQUIRE(tell_lost_page(&memory[i * page]));
    CHECK(take_lost_pages(memory).size() == 64);
    REQUIRE(tell_lost_page(&memory[1]));
    CHECK(take_lost_pages(memory).size() == 1);
}

TEST_CASE("lost pages: every thread may be the one that is told", "[lost]") {
    install_sigbus_handler();
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < 4; ++i)
        threads.emplace_back([i] {
            for (std::size_t j = 0; j < 10; ++j)
                static_cast<void>(tell_lost_page(&memory[(i * 10 + j) * page]));
        });
    for (auto &thread : threads)
        thread.join();
    CHECK(take_lost_pages(memory).size() == 40);
}

} // namespace daxpin::device
