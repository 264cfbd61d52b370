// SPDX-License-Identifier: BSD-3-Clause
//
// AbsenceWatch: the thread that finds out what programs map of the devices, for the sake of
// blocks that were leased from an earlier daemon of this boot (docs/pinning.md, "Safety of
// blocks"). It looks soon after the mount, then again ever more rarely while blocks are kept, and
// not at all without need. Where it may not look into every process it says so once, and ends.
#pragma once

#include "base/sync.h"
#include "device/mappings.h"
#include "fusefs/background.h"

#include <chrono>
#include <thread>

namespace daxpin::fusefs {

class AbsenceWatch {
  public:
    AbsenceWatch(volume::Volume &volume, Background &background)
        : volume_(volume), background_(background) {}
    ~AbsenceWatch() { stop(); }
    AbsenceWatch(const AbsenceWatch &) = delete;
    AbsenceWatch &operator=(const AbsenceWatch &) = delete;

    void start();
    void stop();

  private:
    bool pause(std::chrono::milliseconds timeout); // false when it is time to stop
    void serve();
    Result<void> look();

    volume::Volume &volume_;
    Background &background_;
    std::thread thread_;
    Mutex mutex_;
    CondVar changed_;
    bool stopping_ GUARDED_BY(mutex_) = false;
};

} // namespace daxpin::fusefs
