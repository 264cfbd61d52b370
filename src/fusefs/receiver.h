// SPDX-License-Identifier: BSD-3-Clause
//
// Receiver: takes requests from the kernel.
//
// A thread that sleeps until the next request must be woken, which on a processor of its own costs
// more than most requests. With spin_us= one thread at a time stays awake for so long and asks
// again and again before it sleeps. It gains nothing where callers need the processor that it
// holds.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <sys/types.h>

namespace daxpin::fusefs {

class Receiver {
  public:
    explicit Receiver(std::chrono::microseconds stay_awake) : stay_awake_(stay_awake) {}

    // Several threads may read from `fd`, so it must not be non-blocking even for a while: whoever
    // reads from it sleeps at once. To be called before the first read().
    void share(int fd) { shared_ = fd; }

    // As read(2) of one request; waits until there is one. May be cancelled.
    ssize_t read(int fd, void *buffer, std::size_t size);

  private:
    class Awake;
    const std::chrono::microseconds stay_awake_; // 0: not at all
    int shared_ = -1;
    std::atomic<bool> someone_is_awake_{false};
};

} // namespace daxpin::fusefs
