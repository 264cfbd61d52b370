// SPDX-License-Identifier: BSD-3-Clause
//
// Scheduler: runs threads one at a time, in an order that a seed decides.
//
// At each yield point of base/sync and of the simulated device the running thread goes on or hands
// over to another one. So the same seed and the same bodies give the same run, to the byte. The
// seed also draws the manner of the schedule: how rarely threads change, whether one that waits
// insists (then bounded waits of the engine run out), and whether such waits fail for no reason.
// What the bodies share needs no lock: they never run at the same time.
//
// Threads that all wait for each other end the process by SIGABRT, with a line on stderr.
#pragma once

#include "base/sync.h"

#include <functional>
#include <memory>
#include <mutex>
#include <semaphore>
#include <vector>

namespace daxpin::test {

class Scheduler final : public SchedulerHook {
  public:
    explicit Scheduler(std::uint64_t seed);

    // Runs each body on a thread of its own and returns when all have ended. Thread i has
    // thread_number() first_thread_number + i. REQUIRES: there is a body; none throws; no other
    // scheduler runs.
    void run(const std::vector<std::function<void()>> &bodies);

    void yield_point(bool waits) override;
    bool denies() override;

    static constexpr unsigned first_thread_number = 100;

  private:
    void start(unsigned self, const std::function<void()> &body);
    void end(unsigned self);
    void hand_over(unsigned next);
    unsigned choose_other(unsigned self);
    bool chance(unsigned one_in);

    std::uint64_t random_;
    unsigned change_one_in_;   // of the yield points, so rarely threads change
    unsigned give_way_one_in_; // the same for a thread that waits
    unsigned deny_one_in_;     // of the bounded waits; 0 = never
    std::vector<std::unique_ptr<std::binary_semaphore>> turns_;
    std::vector<unsigned> alive_;
    std::uint64_t waits_ = 0; // yields of waiting threads since anything else happened
};

} // namespace daxpin::test
