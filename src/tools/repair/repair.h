// SPDX-License-Identifier: BSD-3-Clause
//
// repair(): puts right what fsck::check() finds, through the engine's own transactions.
//
// The check decides, and is asked again after each stage of fixes (tools/fsck/fixes.h) until it
// finds nothing, or nothing more can be done. Each fix is one transaction, so a crash leaves the
// volume as it was before one of them, and the next repair goes on from there. What goes around
// the journal are the things it stands on: copies of labels and superblock, tail cells, the ring.
//
// The devices belong to the caller and must not change meanwhile. No globals, no threads.
#pragma once

#include "base/env.h"
#include "tools/fsck/check.h"

namespace daxpin::repair {

enum class Level {
    safe, // what loses no name and no byte; nothing but copies if there is anything else to do
    all
};

struct Options {
    Level level = Level::all;
    std::function<bool(double done)> progress = {}; // as CheckOptions::progress; of each check
};

struct Action {
    fsck::Subject subject;
    std::string text;
};

struct Outcome {
    fsck::Report before; // what the first check found
    fsck::Report after;  // what is left
    std::vector<Action> done;
    std::vector<std::string> failed; // what could not be done, and why
};

Outcome repair(device::DeviceTable &devices, Env &env, const Options &options = {});

} // namespace daxpin::repair
