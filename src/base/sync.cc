// SPDX-License-Identifier: BSD-3-Clause
#include "base/sync.h"

#include <chrono>
#include <sched.h>

namespace daxpin {

std::atomic<SchedulerHook *> scheduler_hook = nullptr;

namespace {

SchedulerHook *hook() {
    return scheduler_hook.load(std::memory_order_acquire);
}

void pause_processor() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Under a hook nobody may block in the kernel: the thread that holds the lock would never be
// chosen to run.
template <typename Try>
void lock_under(SchedulerHook &scheduler, Try try_lock, bool waits_first = false) {
    scheduler.yield_point(waits_first);
    while (!try_lock())
        scheduler.yield_point(true);
}

} // namespace

void spin_wait(unsigned round) noexcept {
    constexpr unsigned pause_rounds = 64;
    if (SchedulerHook *scheduler = hook())
        scheduler->yield_point(true);
    else if (round < pause_rounds)
        pause_processor();
    else
        ::sched_yield();
}

void Mutex::lock() NO_THREAD_SAFETY_ANALYSIS {
    if (SchedulerHook *scheduler = hook()) [[unlikely]]
        lock_under(*scheduler, [this] { return mutex_.try_lock(); });
    else
        mutex_.lock();
}

void SharedMutex::lock() NO_THREAD_SAFETY_ANALYSIS {
    if (SchedulerHook *scheduler = hook()) [[unlikely]]
        lock_under(*scheduler, [this] { return mutex_.try_lock(); });
    else
        mutex_.lock();
}

void SharedMutex::lock_shared() NO_THREAD_SAFETY_ANALYSIS {
    if (SchedulerHook *scheduler = hook()) [[unlikely]]
        lock_under(*scheduler, [this] { return mutex_.try_lock_shared(); });
    else
        mutex_.lock_shared();
}

// Under a hook a wait is a wake-up by chance, which callers must expect anyway.
void CondVar::wait(Mutex &mutex) NO_THREAD_SAFETY_ANALYSIS {
    if (SchedulerHook *scheduler = hook()) [[unlikely]] {
        mutex.unlock();
        lock_under(
            *scheduler, [&] { return mutex.try_lock(); }, true);
    } else {
        condition_.wait(mutex.mutex_);
    }
}

bool CondVar::wait_for(Mutex &mutex, unsigned timeout_ms) NO_THREAD_SAFETY_ANALYSIS {
    if (SchedulerHook *scheduler = hook()) [[unlikely]] {
        mutex.unlock();
        lock_under(
            *scheduler, [&] { return mutex.try_lock(); }, true);
        return true;
    }
    return condition_.wait_for(mutex.mutex_, std::chrono::milliseconds(timeout_ms)) ==
           std::cv_status::no_timeout;
}

} // namespace daxpin
