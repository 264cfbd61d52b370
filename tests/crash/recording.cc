// SPDX-License-Identifier: BSD-3-Clause
#include "crash/recording.h"

#include "device/label.h"

#include <algorithm>
#include <iterator>
#include <xxhash.h>

namespace daxpin::crash {

namespace {

// What a user sees now; compared with what the oracle says.
void observe(Session &session, Recording &recording, const std::string &when) {
    auto dump = take_dump(session.volume());
    if (!dump)
        throw Problem{when + ": " + daxpin::describe(dump.error())};
    const std::string text = session.oracle().difference(*dump);
    if (!text.empty())
        throw Problem{when + ": " + text};
    recording.data_blocks.insert(dump->data_blocks.begin(), dump->data_blocks.end());
    recording.dumps.push_back(std::move(*dump));
}

std::vector<std::uint64_t> paths_through(const std::vector<Step> &steps) {
    std::vector<std::uint64_t> paths{0};
    for (const Step &step : steps) {
        const std::string text =
            describe(step.operation) + std::to_string(step.operation.other_offset);
        paths.push_back(XXH3_64bits_withSeed(text.data(), text.size(), paths.back() + 1));
    }
    return paths;
}

void run_steps(Session &session, Recording &recording, test::TraceRecorder &recorder) {
    session.mount();
    recorder.mark(mounted_mark);
    recording.steps = session.steps();
    recording.paths = paths_through(recording.steps);
    for (std::size_t i = 0; i < recording.steps.size(); ++i) {
        const Step &step = recording.steps[i];
        // Steps that are not crashed need no dump of their own.
        if (step.crashed)
            observe(session, recording, "before " + describe(step.operation));
        else
            recording.dumps.emplace_back();
        recording.leasing.push_back({session.boot(), session.mapped(), session.was_killed()});
        recorder.mark(begin_mark(i));
        session.run(step.operation);
        recorder.mark(end_mark(i));
    }
    recording.leasing.push_back({session.boot(), session.mapped(), session.was_killed()});
    observe(session, recording, "at the end");
}

} // namespace

Recording begin_recording(Session &session) {
    Recording recording;
    for (const auto &media : session.media()) {
        recording.options.push_back(media->options());
        recording.initial.emplace_back(media->bytes().begin(), media->bytes().end());
    }
    const auto superblock = device::read_superblock(*session.media()[0]->open());
    if (!superblock)
        throw Problem{"superblock: " + daxpin::describe(superblock.error())};
    recording.superblock = *superblock;
    return recording;
}

Recording record(const Workload &workload, const Image &image, std::uint64_t seed) {
    Session session(workload, image, seed);
    session.prepare();
    Recording recording = begin_recording(session);
    test::TraceRecorder recorder(session.media());
    run_steps(session, recording, recorder);
    session.unmount();
    recording.trace = recorder.trace();
    return recording;
}

Position Position::first(const Recording &recording) {
    Position position;
    position.crashed = !recording.steps.empty() && recording.steps.front().crashed;
    return position;
}

void Position::pass(const Recording &recording, std::uint64_t mark) {
    if (mark == mounted_mark)
        return;
    const std::size_t step = (mark - 1) / 2;
    const bool begins = mark == begin_mark(step);
    in_flight = begins ? in_flight + 1 : in_flight - 1;
    if (!recording.calls.empty()) {
        after = ++before;
        crashed = true;
        return;
    }
    before = begins ? step : step + 1;
    after = step + 1;
    crashed = recording.steps[step].crashed;
}

Recording::Leasing Position::leasing(const Recording &recording) const {
    if (recording.leasing.empty())
        return {};
    const auto &first = recording.leasing[before];
    const auto &second = recording.leasing[after];
    Recording::Leasing both{first.boot, {}, first.was_killed || second.was_killed};
    if (first.boot == second.boot)
        std::ranges::set_intersection(first.mapped, second.mapped,
                                      std::inserter(both.mapped, both.mapped.end()));
    return both;
}

std::optional<std::size_t> Position::quarantined_max(const Recording &recording) const {
    if (recording.leasing.empty() || leasing(recording).was_killed)
        return {};
    auto either = recording.leasing[before].mapped;
    either.insert(recording.leasing[after].mapped.begin(), recording.leasing[after].mapped.end());
    return either.size();
}

} // namespace daxpin::crash
