// SPDX-License-Identifier: BSD-3-Clause
//
// Receiver: takes requests from the kernel, by few threads.
//
// The kernel wakes those that wait for it in turn, so that each request is served by the thread
// whose caches are coldest, and a burst of requests by as many threads as there are. More threads
// than processors gain nothing by that, unless they sleep while they serve. So only some are
// active: they wait for the kernel and serve what they get. The others are parked, and one of them
// becomes active when all that are have been at their requests for a while without taking another:
// it may take long until one is free, or it may wait for a request that nobody has taken yet.
//
// A thread that sleeps until the next request must be woken, which on a processor of its own costs
// more than most requests. With spin_us= one thread at a time stays awake for so long and asks
// again and again before it sleeps. It gains nothing where callers need the processor that it
// holds.
//
// Thread-safe. A thread that has read keeps its place among the active ones while it serves, until
// it is parked or ends.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <semaphore.h>
#include <sys/types.h>

namespace daxpin::fusefs {

class Receiver {
  public:
    // `active`: so many threads, at least one.
    Receiver(std::chrono::microseconds stay_awake, unsigned active);
    ~Receiver();
    Receiver(const Receiver &) = delete;
    Receiver &operator=(const Receiver &) = delete;

    // Several threads may read from `fd`, so it must not be non-blocking even for a while: whoever
    // reads from it sleeps at once. To be called before the first read().
    void share(int fd) { shared_ = fd; }

    // As read(2) of one request; waits until there is one, and the calling thread is active. May be
    // cancelled.
    ssize_t read(int fd, void *buffer, std::size_t size);

  private:
    class Awake;
    class Reading;
    class Watching;
    class Place;
    static thread_local Place place;
    void become_active();
    void watch();

    const std::chrono::microseconds stay_awake_; // 0: not at all
    const unsigned active_max_;
    int shared_ = -1;
    std::atomic<bool> someone_is_awake_{false};
    const std::shared_ptr<std::atomic<unsigned>> active_; // threads, who may outlive the receiver
    std::atomic<unsigned> readers_{0};       // of these, who wait for the kernel or are about to
    std::atomic<std::uint64_t> received_{0}; // requests
    // Semaphores of <semaphore.h>: libfuse may cancel a thread while it waits.
    sem_t watch_; // held by the parked thread that watches the active ones
    sem_t alarm_; // for it, while it sleeps: nobody waits for the kernel any more
    std::atomic<bool> watcher_sleeps_{false};
};

} // namespace daxpin::fusefs
