// SPDX-License-Identifier: BSD-3-Clause
//
// Session: one volume driven by one workload, beside its oracle. Repeats itself exactly: same
// workload, start and seed, same bytes on media.
#pragma once

#include "crash/executor.h"
#include "crash/oracle.h"
#include "crash/workloads.h"
#include "support/test_env.h"
#include "support/trace.h"

#include <functional>
#include <memory>

namespace daxpin::crash {

using MediaList = std::vector<std::shared_ptr<test::SimMedia>>;

// Volume options of all runs: no access times unless asked for.
volume::Options mount_options();

// A step that is recorded.
struct Step {
    Operation operation;
    bool crashed = true; // its crash points are explored
};

class Session {
  public:
    // Formats media. `what` goes wrong only by a broken test or engine: throws Problem.
    Session(const Workload &workload, Start start, std::uint64_t seed);

    // Runs everything before the recorded part and leaves the volume unmounted.
    void prepare();
    // What comes after prepare() and mount(): filling, the workload's steps, some more.
    const std::vector<Step> &steps() const { return steps_; }

    void mount();
    void unmount();
    // Runs one operation on volume and oracle.
    void run(Operation operation);

    const MediaList &media() const { return media_; }
    volume::Volume &volume() { return *volume_; }
    const Oracle &oracle() const { return oracle_; }
    test::TestEnv &env() { return env_; }

  private:
    void prepare_full(std::uint64_t blocks_left);
    void prepare_split(bool names);
    void move_ring_to_wrap();
    void plan_lap();
    void run_all(const std::vector<Operation> &operations);
    Operation filler(unsigned index) const;

    const Workload &workload_;
    const Start start_;
    const std::uint64_t seed_;
    test::TestEnv env_;
    MediaList media_;
    std::unique_ptr<volume::Volume> volume_;
    std::unique_ptr<Executor> executor_;
    Oracle oracle_;
    std::vector<Step> steps_;
    std::uint64_t version_ = 0;
};

// A broken promise, found while driving the volume without any crash.
struct Problem {
    std::string text;
};

} // namespace daxpin::crash
