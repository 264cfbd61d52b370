// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/absence.h"

#include "base/log.h"
#include "fusefs/thread.h"

#include <algorithm>
#include <new>
#include <unistd.h>

namespace daxpin::fusefs {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr milliseconds pause_min = 1s;
constexpr milliseconds pause_max = 60s;
// A look takes time by the number of processes and their mappings: at most so much of the time.
constexpr int pauses_per_look = 50;
// Looks in vain, one after the other, until somebody should know.
constexpr unsigned failures_to_tell = 30;

Result<std::vector<device::MappableFile>> files_of(const device::DeviceTable &devices) {
    std::vector<device::MappableFile> files;
    for (unsigned i = 0; i < devices.count(); ++i) {
        DAXPIN_TRY_ASSIGN(const auto file, device::mappable_file(devices.at(i).info().path));
        files.push_back(file);
    }
    return files;
}

MediaRun blocks_of(const device::MappedRange &range) {
    const std::uint64_t first = range.offset / block_size;
    const std::uint64_t end = round_up(range.offset + range.length, block_size) / block_size;
    return {MediaBlock::at(static_cast<unsigned>(range.file), first), BlockCount{end - first}};
}

} // namespace

void AbsenceWatch::start() {
    thread_ = start_thread("absence", [this] { serve(); });
}

void AbsenceWatch::stop() {
    if (!thread_.joinable())
        return;
    {
        const MutexLock lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

bool AbsenceWatch::pause(milliseconds timeout) {
    const auto end = std::chrono::steady_clock::now() + timeout;
    const MutexLock lock(mutex_);
    while (!stopping_) {
        const auto left =
            std::chrono::duration_cast<milliseconds>(end - std::chrono::steady_clock::now());
        if (left <= 0ms)
            break;
        changed_.wait_for(mutex_, static_cast<unsigned>(left.count()));
    }
    return !stopping_;
}

Result<void> AbsenceWatch::look() {
    DAXPIN_TRY_ASSIGN(auto files, files_of(volume_.devices()));
    device::MappingScan scan("/proc", std::move(files), ::getpid());
    DAXPIN_TRY_ASSIGN(const auto mapped, scan.mapped());
    std::vector<MediaRun> runs;
    for (const auto &range : mapped)
        runs.push_back(blocks_of(range));
    volume_.prove_absence(std::move(runs));
    background_.kick();
    return {};
}

void AbsenceWatch::serve() {
    milliseconds wait = pause_min;
    unsigned failures = 0; // in a row
    while (pause(wait)) {
        if (!volume_.awaits_proof() || volume_.read_only())
            continue;
        const auto begin = std::chrono::steady_clock::now();
        const auto done = [&]() -> Result<void> {
            try {
                return look();
            } catch (const std::bad_alloc &) {
                return Errc::out_of_memory; // the next look finds it all again
            }
        }();
        if (!done && done.code() == Errc::access) {
            log(LogLevel::warning, "what programs map cannot be looked into (" +
                                       describe(done.error()) +
                                       "): blocks leased before this mount are kept until the "
                                       "next boot");
            return;
        }
        failures = done ? 0 : failures + 1;
        if (!done)
            log(failures == failures_to_tell ? LogLevel::warning : LogLevel::debug,
                "what programs map cannot be found out yet (" + describe(done.error()) +
                    "): blocks leased before this mount are kept");
        const auto took =
            std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin);
        // What was in the way may be gone soon; what programs map stays for a while.
        wait = std::min(std::max(done ? 2 * wait : pause_min, pauses_per_look * took), pause_max);
    }
}

} // namespace daxpin::fusefs
