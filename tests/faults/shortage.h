// SPDX-License-Identifier: BSD-3-Clause
//
// Shortage: a workload of the crash suite that runs while something is short. Every step is tried
// with nothing left, then with one piece more, and so on until it succeeds. Whoever fell short says
// so and nothing else; what a user sees of the volume is as it was, fsck finds nothing, and the
// same step goes through once there is enough, so that no lock was kept.
#pragma once

#include "crash/dump.h"
#include "crash/executor.h"
#include "crash/workloads.h"
#include "support/volume_fixture.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace daxpin::faults {

// The devices of a volume.
class Ground {
  public:
    virtual ~Ground() = default;
    virtual device::DeviceTable open() const = 0;
};

class SimulatedGround final : public Ground {
  public:
    SimulatedGround(const test::VolumeShape &shape, Env &env)
        : media(test::make_media(shape, env)) {}
    device::DeviceTable open() const override { return test::open_table(media); }

    const std::vector<std::shared_ptr<test::SimMedia>> media;
};

struct Counts {
    std::uint64_t operations = 0;
    std::uint64_t shortages = 0; // attempts that fell short
    std::uint64_t wrong = 0;
};

using Outcome = Result<std::uint64_t>;

class Shortage {
  public:
    // `about` tells one trial from another in what is printed.
    Shortage(std::string about, const crash::Workload &workload, Counts &counts);
    virtual ~Shortage() = default;
    Shortage(const Shortage &) = delete;
    Shortage &operator=(const Shortage &) = delete;

    void run();

  protected:
    virtual const Ground &ground() const = 0;

    // Leaves so many pieces of what is short. REQUIRES: mounted.
    virtual void leave(std::uint64_t pieces) = 0;
    // The outcome; nothing if it fell short. `before` is what the volume holds.
    virtual std::optional<Outcome> attempt(const crash::Operation &operation,
                                           const crash::Dump &before) = 0;
    // What fell short may have got as far as the end of one of its steps.
    virtual bool may_have_changed(const crash::Operation &) const { return false; }
    // After an operation of the setup, or an attempt with enough.
    virtual void ran(const crash::Operation &, const Outcome &, const std::string &) {}
    // The daemon ended with everything open, and perhaps the boot (Op::kill, Op::reboot).
    virtual void killed(crash::Op) {}
    // After the last step. REQUIRES: mounted.
    virtual void finish() {}

    void wrong(const std::string &when, const std::string &what);
    void check_media(const std::string &when);
    crash::Dump dump(const std::string &when);
    bool mount();
    void unmount();
    void close_files(); // the workload's; no step may follow
    volume::Volume &volume() { return *volume_; }
    crash::Executor &executor() { return *executor_; }
    test::TestEnv &env() { return env_; }

    static volume::Options options() { return {.atime = volume::Atime::none}; }

  private:
    void step(const crash::Operation &operation);
    bool restart(crash::Op how);

    const std::string about_;
    const crash::Workload &workload_;
    Counts &counts_;
    test::TestEnv env_;
    std::unique_ptr<volume::Volume> volume_;
    std::unique_ptr<crash::Executor> executor_;
    std::uint64_t version_ = 0;
    std::uint64_t boot_ = 1;
};

// Prints, if the program dies, what it was about.
void name_what_dies();

// The closing lines; returns the exit status. `what` names the attempts that fell short.
int print_counts(const Counts &counts, std::uint64_t workloads, const char *what);

} // namespace daxpin::faults
