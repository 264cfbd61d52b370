// SPDX-License-Identifier: BSD-3-Clause
//
// Session: one volume driven by one workload, beside its oracle. Repeats itself exactly: same
// workload, start and seed, same bytes on media.
#pragma once

#include "crash/executor.h"
#include "crash/image.h"
#include "crash/oracle.h"
#include "crash/workloads.h"
#include "journal/journal.h"
#include "support/test_env.h"
#include "support/trace.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>

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
    Session(const Workload &workload, const Image &image, std::uint64_t seed);

    // Runs everything before the recorded part and leaves the volume unmounted.
    void prepare();
    // What comes after prepare() and mount(): filling, the workload's steps, some more.
    const std::vector<Step> &steps() const { return steps_; }

    void mount();
    void unmount();
    // Closes what is open; nothing but unmount() and mount() may follow.
    void close_files() { executor_.reset(); }
    // Runs one operation on volume and oracle.
    void run(Operation operation);
    // Runs one operation on the volume alone, in its turn: it is given its version.
    Result<std::uint64_t> execute(Operation &operation);

    const MediaList &media() const { return media_; }
    volume::Volume &volume() { return *volume_; }
    const Oracle &oracle() const { return oracle_; }
    test::TestEnv &env() { return env_; }
    std::uint64_t boot() const { return boot_; }
    // Blocks that programs may map now: leased, or leased from a daemon that was killed.
    std::set<std::uint64_t> mapped() const;
    bool was_killed() const { return was_killed_; } // ever

    static constexpr std::uint64_t device_bytes = std::uint64_t{1} << 20; // of each device

  private:
    void prepare_start();
    void prepare_full(std::uint64_t blocks_left);
    void prepare_split(bool names);
    void prepare_full_root();
    void prepare_crashed();
    void crash_during(const Operation &operation, std::uint64_t random);
    void plan_lap();
    void set_ring(journal::Sequence start);
    journal::Sequence find_ring_start() const;
    journal::Sequence head_at_first_crash();
    void run_all(const std::vector<Operation> &operations);
    void restart(Op how);
    void note_lease(const Operation &operation);
    Operation filler(unsigned index) const;

    const Workload &workload_;
    const Image image_;
    const std::uint64_t seed_;
    test::TestEnv env_;
    MediaList media_;
    std::unique_ptr<volume::Volume> volume_;
    std::unique_ptr<Executor> executor_;
    Oracle oracle_;
    std::vector<Step> steps_;
    std::optional<journal::Sequence> ring_start_; // where the ring is to begin, if not anywhere
    std::uint64_t version_ = 0;
    std::uint64_t boot_ = 1;
    std::map<std::string, std::set<std::uint64_t>> leased_; // blocks, by slot
    std::set<std::uint64_t> lost_; // blocks leased from a daemon that was killed in this boot
    bool was_killed_ = false;
};

// A broken promise, found while driving the volume without any crash.
struct Problem {
    std::string text;
};

} // namespace daxpin::crash
