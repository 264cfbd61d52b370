// SPDX-License-Identifier: BSD-3-Clause
#include "support/scheduler.h"

#include "support/catch.h"
#include "support/sim_device.h"

#include <csignal>
#include <set>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace daxpin::test {

namespace {

using Bodies = std::vector<std::function<void()>>;

// What three threads wrote down that give way before each letter.
std::string schedule(std::uint64_t seed) {
    std::string text;
    Bodies bodies;
    for (const char name : {'a', 'b', 'c'})
        bodies.emplace_back([&text, name] {
            for (unsigned i = 0; i < 8; ++i) {
                may_interleave();
                text += name;
            }
        });
    Scheduler(seed).run(bodies);
    return text;
}

void lock_in_opposite_order() {
    Mutex one, other;
    const auto both = [](Mutex &first, Mutex &second) {
        return [&]() NO_THREAD_SAFETY_ANALYSIS {
            for (;;) {
                first.lock();
                second.lock();
                second.unlock();
                first.unlock();
            }
        };
    };
    Scheduler(3).run({both(one, other), both(other, one)});
}

} // namespace

TEST_CASE("scheduler: some schedules deny bounded waits, now and then or often", "[scheduler]") {
    constexpr unsigned waits = 20'000;
    std::set<std::string> kinds;
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        unsigned denied = 0;
        Scheduler(seed).run({[&] {
            for (unsigned i = 0; i < waits; ++i)
                denied += is_denied() ? 1 : 0;
        }});
        CHECK(denied < waits / 20);
        kinds.insert(denied == 0 ? "never" : denied < waits / 200 ? "now and then" : "often");
    }
    CHECK(kinds.size() == 3);
    CHECK_FALSE(is_denied()); // without a scheduler
}

TEST_CASE("scheduler: one seed, one schedule", "[scheduler]") {
    std::set<std::string> texts;
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        const std::string text = schedule(seed);
        CHECK(text.size() == 24);
        CHECK(schedule(seed) == text);
        texts.insert(text);
    }
    CHECK(texts.size() > 40);
}

TEST_CASE("scheduler: a mutex is held across yield points", "[scheduler]") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        Mutex mutex;
        bool inside = false;
        const auto body = [&] {
            for (unsigned i = 0; i < 10; ++i) {
                const MutexLock lock(mutex);
                CHECK_FALSE(inside);
                inside = true;
                may_interleave();
                inside = false;
            }
        };
        Scheduler(seed).run({body, body, body});
    }
}

TEST_CASE("scheduler: a condition is waited for", "[scheduler]") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        Mutex mutex;
        CondVar changed;
        bool ready = false, seen = false;
        const auto wait = [&] {
            const MutexLock lock(mutex);
            while (!ready)
                changed.wait(mutex);
            seen = true;
        };
        const auto wake = [&] {
            const MutexLock lock(mutex);
            ready = true;
            changed.notify_all();
        };
        Scheduler(seed).run({wait, wake});
        CHECK(seen);
    }
}

TEST_CASE("scheduler: threads have numbers that repeat", "[scheduler]") {
    for (unsigned round = 0; round < 2; ++round) {
        unsigned numbers[2] = {};
        Scheduler(1).run(
            {[&] { numbers[0] = thread_number(); }, [&] { numbers[1] = thread_number(); }});
        CHECK(numbers[0] == Scheduler::first_thread_number);
        CHECK(numbers[1] == Scheduler::first_thread_number + 1);
    }
}

TEST_CASE("scheduler: a deadlock ends the process", "[scheduler]") {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        std::signal(SIGABRT, SIG_DFL); // not Catch's
        close(STDERR_FILENO);
        lock_in_opposite_order();
        _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGABRT);
}

} // namespace daxpin::test
