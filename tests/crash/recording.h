// SPDX-License-Identifier: BSD-3-Clause
//
// Recording: one run of a workload without a crash: what was on media at first, everything that
// happened there since, and what a user saw after each step. Checked against the oracle on the
// way.
#pragma once

#include "crash/history.h"
#include "crash/session.h"
#include "format/layout.h"

namespace daxpin::crash {

struct Recording {
    std::vector<test::SimOptions> options; // of each device
    std::vector<Bytes> initial;            // durable when the trace begins, before the mount
    test::Trace trace;
    std::vector<Step> steps;
    std::vector<Dump> dumps;             // [i]: before step i; one more at the end
    std::vector<std::uint64_t> paths;    // [i]: tells apart what was done before step (moment) i
    std::set<std::uint64_t> data_blocks; // MediaBlocks that held file data in any dump
    // [i]: before step i; one more at the end.
    struct Leasing {
        std::uint64_t boot = 1;
        std::set<std::uint64_t> mapped; // MediaBlocks that programs may map
        bool was_killed = false;        // so more may be in quarantine than what is mapped
    };
    std::vector<Leasing> leasing;
    format::Superblock superblock{};
    // Of several threads (then there are no steps, and the only dump is that at the end):
    Oracle oracle; // when the first call began
    std::vector<Call> calls;
    std::size_t moments = 0;
};

// Marks in the trace: the volume is mounted; step or call i begins; it was acknowledged.
constexpr std::uint64_t mounted_mark = 0;
constexpr std::uint64_t begin_mark(std::size_t step) {
    return 2 * step + 1;
}
constexpr std::uint64_t end_mark(std::size_t step) {
    return 2 * step + 2;
}

// A recording of a prepared session that is about to be mounted: nothing has happened yet.
Recording begin_recording(Session &session);

// Throws Problem if the volume answers wrongly.
Recording record(const Workload &workload, const Image &image, std::uint64_t seed);

// Where one is in a recording: what may be found after a crash now.
struct Position {
    std::size_t before = 0; // index of a dump; of calls: the moment
    std::size_t after = 0;  // same as `before` if no step is in flight
    bool crashed = true;    // this part is explored
    std::size_t in_flight = 0;
    static Position first(const Recording &recording);
    bool acknowledged() const { return before == after; }
    void pass(const Recording &recording, std::uint64_t mark);
    // What is mapped for certain, and the boot it is mapped in; of steps, not of calls.
    Recording::Leasing leasing(const Recording &recording) const;
    // The most that quarantine may hold; nothing if that is not known.
    std::optional<std::size_t> quarantined_max(const Recording &recording) const;
};

} // namespace daxpin::crash
