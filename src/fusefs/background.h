// SPDX-License-Identifier: BSD-3-Clause
//
// Background: the thread that goes on with unfinished deletions, checkpoints when half the ring
// is full, and once more when requests have ceased, so that the next mount replays nothing. After
// that, if asked to, it zeroes free space, in small pieces with pauses, until a request comes.
//
// Sleeps while nothing happens; requests wake it with kick(), which costs them one load.
#pragma once

#include "base/sync.h"
#include "volume/volume.h"

#include <atomic>
#include <thread>

namespace daxpin::fusefs {

class Background {
  public:
    enum class Prezero { off, on };
    explicit Background(volume::Volume &volume, Prezero prezero = Prezero::off)
        : volume_(volume), prezero_(prezero) {}
    ~Background() { stop(); }
    Background(const Background &) = delete;
    Background &operator=(const Background &) = delete;

    void start();
    void stop();

    // A request has been answered: there may be something to do.
    void kick() {
        if (state_.load(std::memory_order_relaxed) != State::busy)
            wake();
    }

  private:
    enum class State { asleep, quiet, busy }; // busy: requests since the last look

    void wake();
    bool pause(unsigned timeout_ms); // false when it is time to stop
    bool sleep();                    // until kicked; false when it is time to stop
    void serve();
    bool step();
    bool more(const Result<bool> &result);
    void settle();
    bool prezero(); // false when it is time to stop
    bool prezero_step();
    void report(const Error &error);

    volume::Volume &volume_;
    const Prezero prezero_;
    std::thread thread_;
    std::atomic<State> state_{State::quiet};
    Mutex mutex_;
    CondVar changed_;
    bool stopping_ GUARDED_BY(mutex_) = false;
    // The thread's own: a failure was logged; and that it made the volume read-only.
    bool reported_ = false;
    bool reported_end_ = false;
};

} // namespace daxpin::fusefs
