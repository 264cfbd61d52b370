// SPDX-License-Identifier: BSD-3-Clause
#include "base/sync.h"

#include "support/catch.h"

#include <functional>
#include <thread>
#include <vector>

namespace daxpin {
namespace {

// Plays another thread that acts at one of the yields.
class CountingHook final : public SchedulerHook {
  public:
    CountingHook(unsigned when, std::function<void()> act) : when_(when), act_(std::move(act)) {
        scheduler_hook = this;
    }
    ~CountingHook() override { scheduler_hook = nullptr; }
    void yield_point(bool waits) override {
        waiting += waits;
        if (++calls == when_)
            act_();
    }
    unsigned calls = 0;
    unsigned waiting = 0; // of the calls

  private:
    unsigned when_;
    std::function<void()> act_;
};

} // namespace

TEST_CASE("sync: a mutex lets one thread in at a time", "[sync]") {
    Mutex mutex;
    long sum = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int round = 0; round < 10000; ++round) {
                const MutexLock lock(mutex);
                sum = sum + 1;
            }
        });
    for (auto &thread : threads)
        thread.join();
    CHECK(sum == 40000);
}

namespace {

// The hook plays another thread and unlocks: out of the analysis's sight.
void lock_what_is_taken() NO_THREAD_SAFETY_ANALYSIS {
    Mutex mutex;
    SharedMutex shared;
    {
        REQUIRE(mutex.try_lock());
        CountingHook hook(3, [&]() NO_THREAD_SAFETY_ANALYSIS { mutex.unlock(); });
        mutex.lock();
        CHECK(hook.calls == 3);
        CHECK(hook.waiting == 2);
        mutex.unlock();
    }
    {
        REQUIRE(shared.try_lock());
        CountingHook hook(3, [&]() NO_THREAD_SAFETY_ANALYSIS { shared.unlock(); });
        shared.lock_shared();
        CHECK(hook.calls == 3);
    }
    {
        CountingHook hook(3, [&]() NO_THREAD_SAFETY_ANALYSIS { shared.unlock_shared(); });
        shared.lock();
        CHECK(hook.calls == 3);
        shared.unlock();
    }
}

void wait_once() NO_THREAD_SAFETY_ANALYSIS {
    Mutex mutex;
    CondVar condition;
    mutex.lock();
    bool was_free = false;
    CountingHook hook(1, [&]() NO_THREAD_SAFETY_ANALYSIS {
        was_free = mutex.try_lock();
        if (was_free)
            mutex.unlock();
    });
    condition.wait(mutex);
    CHECK(was_free);
    CHECK(hook.waiting == 1);
    mutex.unlock();
}

} // namespace

TEST_CASE("sync: under a hook a lock never blocks, it yields and tries again", "[sync]") {
    lock_what_is_taken();
}

TEST_CASE("sync: under a hook a wait gives the mutex up", "[sync]") {
    wait_once();
}

TEST_CASE("sync: a timed wait ends after its time", "[sync]") {
    Mutex mutex;
    CondVar condition;
    const MutexLock lock(mutex);
    CHECK_FALSE(condition.wait_for(mutex, 1));
}

TEST_CASE("sync: a notified waiter wakes up", "[sync]") {
    Mutex mutex;
    CondVar condition;
    bool ready = false;
    std::thread waker([&] {
        const MutexLock lock(mutex);
        ready = true;
        condition.notify_all();
    });
    {
        const MutexLock lock(mutex);
        while (!ready)
            condition.wait(mutex);
    }
    waker.join();
    CHECK(ready);
}

} // namespace daxpin
