// SPDX-License-Identifier: BSD-3-Clause
//
// Handlers of SIGBUS that leave the library by siglongjmp(3): libdaxpin(7), "SIGNALS".
#include "base/unique_fd.h"
#include "support/catch.h"
#include "unit/client/fake_filesystem.h"

#include <array>
#include <csetjmp>
#include <csignal>
#include <daxpin/daxpin.h>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <pthread.h>

using daxpin::UniqueFd;
using daxpin::test::FakeFilesystem;

namespace {

constexpr std::size_t mib = 1 << 20;

sigjmp_buf before_call;

// Whether the call was left, by a handler, because of what it touched.
bool is_left(const std::function<void()> &call) {
    struct sigaction leave {
    }, before{};
    leave.sa_handler = [](int) { siglongjmp(before_call, 1); };
    REQUIRE(sigaction(SIGBUS, &leave, &before) == 0);
    volatile bool left = true;
    if (sigsetjmp(before_call, 1) == 0) {
        call();
        left = false;
    }
    sigaction(SIGBUS, &before, nullptr);
    return left;
}

} // namespace

TEST_CASE("signals: SIGBUS may leave copies and flushes, and all goes on working", "[client]") {
    const unsigned granularity = GENERATE(DAXPIN_GRANULARITY_CACHE_LINE, DAXPIN_GRANULARITY_PAGE);
    FakeFilesystem fs(4 * mib);
    fs.add_extent(fs.add_device(16 * mib, granularity), 8 * mib, 4 * mib);
    const UniqueFd fd(fs.open_file(O_RDWR));
    daxpin_map *map = nullptr;
    REQUIRE(daxpin_map_new_reserved(&map, fd.get(), 0, 2 * mib, 4 * mib, 0) == 0);
    REQUIRE(daxpin_dirty_track(map, DAXPIN_TRACK_MARKS) == 0);
    auto *const good = static_cast<char *>(daxpin_map_get_address(map));
    auto *const bad = good + mib;
    std::filesystem::resize_file(fs.folder() + "/device0", 9 * mib);
    std::array<char, 10000> text{};

    CHECK(is_left([&] { daxpin_memcpy(map, bad, text.data(), text.size(), 0); }));
    CHECK(is_left([&] { daxpin_memcpy(map, good, bad, text.size(), DAXPIN_F_NOFLUSH); }));
    CHECK(is_left([&] { daxpin_memset(map, bad, 1, text.size(), DAXPIN_F_NONTEMPORAL); }));
    CHECK(is_left([&] { daxpin_memset_persist(map, bad - 100, 1, text.size()); }));
    // Not every processor looks at what it flushes.
    is_left([&] { daxpin_persist(map, bad - 100, text.size()); });

    int state = PTHREAD_CANCEL_DISABLE;
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
    CHECK(state == PTHREAD_CANCEL_ENABLE);
    daxpin_map_info info;
    std::size_t count = 1;
    CHECK(daxpin_memcpy_persist(map, good, text.data(), text.size()) == 0);
    CHECK(daxpin_sync(map, 0, mib) == 0);
    CHECK(daxpin_query(good, 1, &info, &count) == 0);
    CHECK(daxpin_map_extend(map, fd.get(), 0, 0) == -ENODEV); // its label went with the end
    CHECK(daxpin_map_delete(&map) == 0);
}
