// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/receiver.h"

#include "base/assert.h"
#include "base/sync.h"

#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <unistd.h>

namespace daxpin::fusefs {

// While it lives its thread is the one that is awake, and reads from `fd` without waiting. Also
// taken down when libfuse cancels the thread.
class Receiver::Awake {
  public:
    Awake(Receiver &receiver, int fd) : receiver_(receiver), fd_(fd), flags_(::fcntl(fd, F_GETFL)) {
        ::fcntl(fd_, F_SETFL, flags_ | O_NONBLOCK);
    }
    ~Awake() {
        ::fcntl(fd_, F_SETFL, flags_);
        receiver_.someone_is_awake_.store(false);
    }
    Awake(const Awake &) = delete;
    Awake &operator=(const Awake &) = delete;

  private:
    Receiver &receiver_;
    int fd_;
    int flags_;
};

// A thread's place among the active ones of a receiver, which counts them.
class Receiver::Place {
  public:
    ~Place() { give_up(); }
    bool is_of(const Receiver &receiver) const { return counted_in_ == receiver.active_; }
    void take(const Receiver &receiver) { counted_in_ = receiver.active_; }
    void give_up() {
        if (counted_in_)
            counted_in_->fetch_sub(1);
        counted_in_.reset();
    }

  private:
    std::shared_ptr<std::atomic<unsigned>> counted_in_;
};

thread_local Receiver::Place Receiver::place;

// While it lives its thread waits for the kernel.
class Receiver::Reading {
  public:
    explicit Reading(Receiver &receiver) : receiver_(receiver) { receiver_.readers_.fetch_add(1); }
    ~Reading() {
        receiver_.received_.fetch_add(1);
        if (receiver_.readers_.fetch_sub(1) == 1 && receiver_.watcher_sleeps_.exchange(false))
            ::sem_post(&receiver_.alarm_);
    }
    Reading(const Reading &) = delete;
    Reading &operator=(const Reading &) = delete;

  private:
    Receiver &receiver_;
};

namespace {

void wait_for(sem_t &semaphore) {
    while (::sem_wait(&semaphore) != 0) // a signal came
        ;
}

} // namespace

// While it lives its thread is the one that watches.
class Receiver::Watching {
  public:
    explicit Watching(Receiver &receiver) : receiver_(receiver) { wait_for(receiver_.watch_); }
    ~Watching() { ::sem_post(&receiver_.watch_); }
    Watching(const Watching &) = delete;
    Watching &operator=(const Watching &) = delete;

  private:
    Receiver &receiver_;
};

Receiver::Receiver(std::chrono::microseconds stay_awake, unsigned active)
    : stay_awake_(stay_awake), active_max_(active),
      active_(std::make_shared<std::atomic<unsigned>>(0)) {
    DAXPIN_ASSERT(active > 0);
    ::sem_init(&watch_, 0, 1);
    ::sem_init(&alarm_, 0, 0);
}

Receiver::~Receiver() {
    ::sem_destroy(&watch_);
    ::sem_destroy(&alarm_);
}

void Receiver::become_active() {
    if (place.is_of(*this) && (active_->load() <= active_max_ || readers_.load() == 0))
        return;
    place.give_up(); // there are more than enough, and somebody waits for the kernel
    for (unsigned seen = active_->load(); seen < active_max_;)
        if (active_->compare_exchange_weak(seen, seen + 1))
            return place.take(*this);
    const Watching watching(*this);
    watch();
    active_->fetch_add(1);
    place.take(*this);
}

// Until one more should be active: threads that were have ended, or all are held up.
void Receiver::watch() {
    constexpr timespec patience{.tv_sec = 0, .tv_nsec = 1'000'000};
    for (;;) {
        watcher_sleeps_.store(true);
        if (readers_.load() > 0 || !watcher_sleeps_.exchange(false))
            wait_for(alarm_);
        if (active_->load() < active_max_)
            return;
        const auto received = received_.load();
        ::nanosleep(&patience, nullptr);
        if (readers_.load() == 0 && received_.load() == received)
            return;
    }
}

ssize_t Receiver::read(int fd, void *buffer, std::size_t size) {
    become_active();
    const Reading reading(*this);
    if (stay_awake_.count() > 0 && fd != shared_ && !someone_is_awake_.exchange(true)) {
        const Awake awake(*this, fd);
        const auto end = std::chrono::steady_clock::now() + stay_awake_;
        do {
            const ssize_t length = ::read(fd, buffer, size);
            if (length >= 0 || errno != EAGAIN)
                return length;
            spin_wait(0);
        } while (std::chrono::steady_clock::now() < end);
    }
    return ::read(fd, buffer, size);
}

} // namespace daxpin::fusefs
