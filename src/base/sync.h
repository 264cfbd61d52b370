// SPDX-License-Identifier: BSD-3-Clause
//
// Mutexes the compiler checks (clang's -Wthread-safety) with a scheduler hook for tests.
//
// The order in which locks are taken is in docs/locking.md. A test may install a
// SchedulerHook; then every blocking point of the engine asks it first, so that one seed gives
// one interleaving.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <shared_mutex>

#if defined(__clang__)
#define DAXPIN_TSA(x) __attribute__((x))
#else
#define DAXPIN_TSA(x)
#endif
#define CAPABILITY(x) DAXPIN_TSA(capability(x))
#define SCOPED_CAPABILITY DAXPIN_TSA(scoped_lockable)
#define GUARDED_BY(x) DAXPIN_TSA(guarded_by(x))
#define REQUIRES(...) DAXPIN_TSA(requires_capability(__VA_ARGS__))
#define REQUIRES_SHARED(...) DAXPIN_TSA(requires_shared_capability(__VA_ARGS__))
#define ACQUIRE(...) DAXPIN_TSA(acquire_capability(__VA_ARGS__))
#define ACQUIRE_SHARED(...) DAXPIN_TSA(acquire_shared_capability(__VA_ARGS__))
#define RELEASE(...) DAXPIN_TSA(release_capability(__VA_ARGS__))
#define RELEASE_SHARED(...) DAXPIN_TSA(release_shared_capability(__VA_ARGS__))
#define RELEASE_GENERIC(...) DAXPIN_TSA(release_generic_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...) DAXPIN_TSA(try_acquire_capability(__VA_ARGS__))
#define EXCLUDES(...) DAXPIN_TSA(locks_excluded(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS DAXPIN_TSA(no_thread_safety_analysis)

namespace daxpin {

// Decides which thread runs next in a deterministic test.
class SchedulerHook {
  public:
    virtual ~SchedulerHook() = default;
    // The calling thread is about to do what others may see or wait for. `waits`: it found taken
    // what it needs, or waits to be woken, and can do nothing before another thread has run.
    virtual void yield_point(bool waits) = 0;
    // Whether a bounded wait that begins now is to fail, even if nobody is in its way.
    virtual bool denies() { return false; }
};

// The installed hook, or null (the normal case). Set before the threads start.
extern std::atomic<SchedulerHook *> scheduler_hook;

// To be called between two attempts of a spin-wait; `round` counts them. Lets other threads run:
// a pause instruction first, the processor given up later, the test's hook if there is one.
void spin_wait(unsigned round) noexcept;

// To be called where threads may meet though none of the locks below is taken: a test's hook may
// let another thread run first.
inline void may_interleave() noexcept {
    if (SchedulerHook *hook = scheduler_hook.load(std::memory_order_acquire)) [[unlikely]]
        hook->yield_point(false);
}

// To be called before a wait that may fail for being bounded: a test's hook may want that.
inline bool is_denied() noexcept {
    SchedulerHook *hook = scheduler_hook.load(std::memory_order_acquire);
    return hook != nullptr && hook->denies();
}

class CAPABILITY("mutex") Mutex {
  public:
    void lock() ACQUIRE();
    void unlock() RELEASE() { mutex_.unlock(); }
    bool try_lock() TRY_ACQUIRE(true) { return mutex_.try_lock(); }

  private:
    friend class CondVar;
    std::mutex mutex_;
};

class SCOPED_CAPABILITY MutexLock {
  public:
    explicit MutexLock(Mutex &mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
    ~MutexLock() RELEASE() { mutex_.unlock(); }
    MutexLock(const MutexLock &) = delete;
    MutexLock &operator=(const MutexLock &) = delete;

  private:
    Mutex &mutex_;
};

class CondVar {
  public:
    // Gives up `mutex` until notified (or by chance); the caller loops on its condition.
    void wait(Mutex &mutex) REQUIRES(mutex);
    // As wait(), at most `timeout_ms` milliseconds; false after that time.
    bool wait_for(Mutex &mutex, unsigned timeout_ms) REQUIRES(mutex);
    void notify_all() { condition_.notify_all(); }
    void notify_one() { condition_.notify_one(); }

  private:
    std::condition_variable_any condition_;
};

class CAPABILITY("shared_mutex") SharedMutex {
  public:
    void lock() ACQUIRE();
    bool try_lock() TRY_ACQUIRE(true) { return mutex_.try_lock(); }
    void unlock() RELEASE() { mutex_.unlock(); }
    void lock_shared() ACQUIRE_SHARED();
    void unlock_shared() RELEASE_SHARED() { mutex_.unlock_shared(); }

  private:
    std::shared_mutex mutex_;
};

class SCOPED_CAPABILITY SharedLock {
  public:
    explicit SharedLock(SharedMutex &mutex) ACQUIRE_SHARED(mutex) : mutex_(mutex) {
        mutex_.lock_shared();
    }
    ~SharedLock() RELEASE_GENERIC() { mutex_.unlock_shared(); }
    SharedLock(const SharedLock &) = delete;
    SharedLock &operator=(const SharedLock &) = delete;

  private:
    SharedMutex &mutex_;
};

class SCOPED_CAPABILITY ExclusiveLock {
  public:
    explicit ExclusiveLock(SharedMutex &mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
    ~ExclusiveLock() RELEASE() { mutex_.unlock(); }
    ExclusiveLock(const ExclusiveLock &) = delete;
    ExclusiveLock &operator=(const ExclusiveLock &) = delete;

  private:
    SharedMutex &mutex_;
};

} // namespace daxpin
