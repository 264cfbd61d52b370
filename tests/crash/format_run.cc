// SPDX-License-Identifier: BSD-3-Clause
#include "crash/format_run.h"

#include "device/label.h"
#include "tools/fsck/check.h"
#include "volume/format.h"

namespace daxpin::crash {

namespace {

const Workload &old_files() {
    static const Workload workload{
        "old", {}, {mkdir("old"), create("old/file"), write("old/file", 0, 9000)}};
    return workload;
}

// Media with a volume that has files.
MediaList old_volume(const Image &image, std::uint64_t seed) {
    Session session(old_files(), image, seed + 77);
    session.prepare();
    session.mount();
    for (const Step &step : session.steps())
        session.run(step.operation);
    session.unmount();
    return session.media();
}

Result<Dump> mounted_dump(const MediaList &media) {
    test::TestEnv env;
    DAXPIN_TRY_ASSIGN(const auto volume,
                      volume::Volume::open(test::open_table(media), env, mount_options()));
    return take_dump(*volume);
}

MediaList copy_of(const MediaList &media) {
    MediaList copies;
    for (const auto &one : media)
        copies.push_back(one->clone());
    return copies;
}

// The first thing that fsck finds; empty if nothing.
std::string fsck_finding(const MediaList &media) {
    const auto report = fsck::check(test::open_table(media));
    if (report.clean())
        return {};
    return report.findings.empty() ? "not clean" : report.findings[0].text;
}

void format(const MediaList &media, std::uint64_t seed) {
    test::TestEnv env(seed);
    auto devices = test::open_table(media);
    volume::FormatOptions options;
    options.journal_bytes = format::ring_bytes_min;
    const auto made = volume::format_volume(devices, options, env);
    if (!made)
        throw Problem{"format: " + daxpin::describe(made.error())};
}

} // namespace

Recording record_format(const Image &image, std::uint64_t seed) {
    MediaList media = old_volume(image, seed);
    Recording recording;
    recording.dumps.resize(2);
    if (image.start == Start::fresh) {
        for (auto &one : media)
            one = test::SimMedia::create(one->options());
    } else {
        auto before = mounted_dump(copy_of(media));
        if (!before)
            throw Problem{"old volume: " + daxpin::describe(before.error())};
        recording.dumps[0] = std::move(*before);
    }
    for (const auto &one : media) {
        recording.options.push_back(one->options());
        recording.initial.emplace_back(one->bytes().begin(), one->bytes().end());
    }
    recording.steps.push_back({{.op = Op::remount, .path = "format"}, true});
    test::TraceRecorder recorder(media);
    recorder.mark(begin_mark(0));
    format(media, seed);
    recorder.mark(end_mark(0));
    recording.trace = recorder.trace();
    auto after = mounted_dump(copy_of(media));
    if (!after)
        throw Problem{"new volume: " + daxpin::describe(after.error())};
    recording.dumps[1] = std::move(*after);
    return recording;
}

std::string check_format(Scratch &scratch, const Recording &recording, const Position &position) {
    // Before a mount mends a copy of a label.
    if (position.acknowledged())
        if (auto text = fsck_finding(scratch.media()); !text.empty())
            return "fsck after format: " + text;
    const auto found = mounted_dump(scratch.media());
    if (!found) {
        // Neither volume is there yet, or any more: then no label says that there is one.
        const bool labelled = device::read_label(*scratch.media()[0]->open()).has_value();
        if (!position.acknowledged() && !labelled)
            return {};
        return "after a crash in format: " + daxpin::describe(found.error());
    }
    if (auto text = fsck_finding(scratch.media()); !text.empty())
        return "fsck after a crash in format: " + text;
    const std::string not_after = difference(*found, recording.dumps[position.after]);
    if (not_after.empty() || difference(*found, recording.dumps[position.before]).empty())
        return {};
    return "neither the old volume nor the new one: " + not_after;
}

} // namespace daxpin::crash
