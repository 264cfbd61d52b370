// SPDX-License-Identifier: BSD-3-Clause
#include "client/family_lock.h"
#include "client/marks.h"
#include "support/catch.h"
#include "unit/client/stepped_child.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <functional>
#include <random>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using daxpin::client::AddressRange;
using daxpin::client::DirtyTracker;
using daxpin::client::FamilyLock;
using daxpin::client::Marks;
using daxpin::test::SteppedChild;

namespace {

constexpr std::size_t kib = 1024;

std::unique_ptr<DirtyTracker> make(Marks::Grain grain, std::size_t capacity) {
    return *Marks::make(grain, capacity);
}

std::size_t bytes_of(Marks::Grain grain) {
    return grain == Marks::Grain::line ? 64 : 4 * kib;
}

using Range = std::pair<std::size_t, std::size_t>;
std::vector<Range> taken(DirtyTracker &tracker, std::size_t offset, std::size_t length) {
    std::vector<Range> ranges;
    REQUIRE(tracker.take(offset, length, [&](std::size_t at, std::size_t bytes) {
        ranges.emplace_back(at, bytes);
    }));
    return ranges;
}

// What ranges cover, one flag a grain.
void set(std::vector<bool> &flags, std::size_t grain, std::size_t offset, std::size_t length,
         bool value) {
    if (length > 0)
        std::fill(flags.begin() + static_cast<long>(offset / grain),
                  flags.begin() + static_cast<long>((offset + length - 1) / grain) + 1, value);
}

} // namespace

TEST_CASE("marks: a marked line is given once, its neighbours never", "[client]") {
    const auto marks = make(Marks::Grain::line, 64 * kib);
    CHECK(taken(*marks, 0, 64 * kib).empty());
    marks->mark(4096 + 64, 1);
    marks->mark(4096 + 128, 65);
    marks->mark(64 * kib - 1, 1);
    CHECK(taken(*marks, 0, 64 * kib) == std::vector<Range>{{4160, 192}, {64 * kib - 64, 64}});
    CHECK(taken(*marks, 0, 64 * kib).empty());
}

TEST_CASE("marks: coarse marks give whole pages, runs of them as one", "[client]") {
    const auto marks = make(Marks::Grain::page, 1024 * kib);
    marks->mark(4095, 2);
    marks->mark(63 * 4096, 2 * 4096);
    CHECK(taken(*marks, 0, 1024 * kib) ==
          std::vector<Range>{{0, 8192}, {63 * 4096, 4096}, {64 * 4096, 4096}});
}

TEST_CASE("marks: taking a part leaves the rest dirty", "[client]") {
    const auto marks = make(Marks::Grain::line, 64 * kib);
    marks->mark(0, 4096);
    CHECK(taken(*marks, 1000, 100) == std::vector<Range>{{960, 192}});
    CHECK(taken(*marks, 0, 4096) == std::vector<Range>{{0, 960}, {1152, 4096 - 1152}});
    CHECK(taken(*marks, 0, 64 * kib).empty());
    marks->mark(4096, 8192);
    CHECK(taken(*marks, 0, 4096).empty());
    CHECK(taken(*marks, 8191, 2) == std::vector<Range>{{8128, 64}, {8192, 64}});
}

TEST_CASE("marks: random marks and takes agree with a list of flags", "[client]") {
    const auto grain = GENERATE(Marks::Grain::line, Marks::Grain::page);
    const std::size_t capacity = 100 * 4096 + 100;
    const auto size = bytes_of(grain);
    for (unsigned seed = 1; seed <= 6; ++seed) {
        std::mt19937 random(seed);
        const auto marks = make(grain, capacity);
        std::vector<bool> dirty(capacity / size + 1);
        for (int step = 0; step < 100; ++step) {
            const auto offset = random() % capacity;
            const auto length =
                std::min<std::size_t>(random() % 20000 >> random() % 14, capacity - offset);
            if (random() % 3 != 0) {
                marks->mark(offset, length);
                set(dirty, size, offset, length, true);
                continue;
            }
            std::vector<bool> got(dirty.size()), wanted(dirty.size()), asked(dirty.size());
            for (const auto &[at, bytes] : taken(*marks, offset, length))
                set(got, size, at, bytes, true);
            set(asked, size, offset, length, true);
            for (std::size_t i = 0; i < dirty.size(); ++i) {
                wanted[i] = dirty[i] && asked[i];
                dirty[i] = dirty[i] && !asked[i];
            }
            INFO("seed " << seed << " step " << step);
            REQUIRE(got == wanted);
        }
    }
}

TEST_CASE("marks: what is stored before its mark is never lost to a take", "[client][threads]") {
    const auto grain = GENERATE(Marks::Grain::line, Marks::Grain::page);
    constexpr std::size_t lines = 256;
    const auto marks = make(grain, lines * 64);
    std::vector<std::uint64_t> stored(lines * 8), durable(lines * 8);
    const auto cell = [](std::vector<std::uint64_t> &cells, std::size_t line) {
        return std::atomic_ref<std::uint64_t>(cells[line * 8]);
    };
    const auto take_all = [&] {
        REQUIRE(marks->take(0, lines * 64, [&](std::size_t at, std::size_t bytes) {
            for (auto line = at / 64; line < (at + bytes) / 64; ++line)
                cell(durable, line).store(cell(stored, line).load(std::memory_order_relaxed));
        }));
    };
    std::atomic<int> running = 3;
    std::vector<std::thread> writers;
    for (unsigned writer = 0; writer < 3; ++writer)
        writers.emplace_back([&, writer] {
            std::mt19937 random(writer);
            for (std::uint64_t i = 1; i <= 100'000; ++i) {
                const auto line = random() % (lines / 3) * 3 + writer; // nobody else's
                cell(stored, line).store(i, std::memory_order_relaxed);
                marks->mark(line * 64, 8);
            }
            --running;
        });
    while (running > 0)
        take_all();
    for (auto &writer : writers)
        writer.join();
    take_all();
    CHECK(stored == durable);
}

TEST_CASE("marks: those of a child made by fork are the parent's too", "[client][threads]") {
    const auto marks = make(Marks::Grain::line, 64 * kib);
    const pid_t child = fork();
    if (child == 0) {
        marks->mark(5000, 1);
        _exit(0);
    }
    REQUIRE(waitpid(child, nullptr, 0) == child);
    CHECK(taken(*marks, 0, 64 * kib) == std::vector<Range>{{4992, 64}});
}

#if defined(__x86_64__)

// Runs `body` in a child that is killed when it has executed that many atomic operations. False if
// it has fewer.
static bool died_after(unsigned operations, const std::function<void()> &body) {
    const SteppedChild child(body);
    while (operations > 0) {
        constexpr unsigned char lock_prefix = 0xf0;
        const bool atomic = child.code()[0] == lock_prefix;
        if (!child.step())
            return false;
        operations -= atomic ? 1 : 0;
    }
    return true;
}

TEST_CASE("marks: a mark counts wherever another process died in mark or take", "[client]") {
    const auto grain = GENERATE(Marks::Grain::line, Marks::Grain::page);
    const bool takes = GENERATE(false, true);
    bool died = true;
    unsigned operations = 0;
    for (; died; ++operations) {
        const auto marks = make(grain, 8 * kib);
        marks->mark(0, 1);
        if (takes)
            marks->mark(4096 + 1000, 1); // of the page, but not of what is taken
        died = died_after(operations, [&] {
            if (takes)
                static_cast<void>(marks->take(4096, 64, [](std::size_t, std::size_t) {}));
            else
                marks->mark(4096, 8);
        });
        marks->mark(4096 + 64, 8);
        INFO("died after " << operations << " operations");
        const auto given = taken(*marks, 4096 + 64, 64);
        REQUIRE(given.size() == 1);
        REQUIRE(given[0].first <= 4096 + 64);
        REQUIRE(given[0].first + given[0].second >= 4096 + 128);
    }
    CHECK(operations > 2);
}

#endif

TEST_CASE("family lock: the death of the process that holds it is told to the next", "[client]") {
    auto lock = *FamilyLock::make();
    CHECK_FALSE(lock.lock());
    lock.unlock();
    const pid_t child = fork();
    if (child == 0) {
        lock.lock();
        raise(SIGKILL);
    }
    REQUIRE(waitpid(child, nullptr, 0) == child);
    CHECK(lock.lock());
    lock.unlock();
    CHECK_FALSE(lock.lock());
    lock.unlock();
}
