// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/background.h"

#include "base/log.h"
#include "fusefs/limited_log.h"
#include "fusefs/thread.h"

#include <algorithm>
#include <chrono>
#include <malloc.h>
#include <new>

namespace daxpin::fusefs {
namespace {

constexpr unsigned look_period_ms = 20; // between two looks at the ring while requests come
constexpr unsigned idle_after_ms = 300; // without a request
// At least, between two pieces of 2 MiB: at most 1 GiB/s.
constexpr unsigned prezero_pause_ms = 2;

} // namespace

void Background::start() {
    thread_ = start_thread("background", [this] { serve(); });
}

void Background::stop() {
    if (!thread_.joinable())
        return;
    {
        const MutexLock lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

void Background::wake() {
    if (state_.exchange(State::busy) != State::asleep)
        return;
    // Taken so that the thread is either before its look at the state or in its wait.
    { const MutexLock lock(mutex_); }
    changed_.notify_one();
}

bool Background::pause(unsigned timeout_ms) {
    const MutexLock lock(mutex_);
    if (!stopping_)
        changed_.wait_for(mutex_, timeout_ms);
    return !stopping_;
}

bool Background::sleep() {
    const MutexLock lock(mutex_);
    State quiet = State::quiet;
    if (state_.compare_exchange_strong(quiet, State::asleep))
        while (!stopping_ && state_.load() == State::asleep)
            changed_.wait(mutex_);
    return !stopping_;
}

// One step of the volume's work; true if there is more. What there is no memory for waits.
bool Background::step() {
    try {
        volume_.note_lost_pages();
        for (const std::string &line : volume_.take_media_reports())
            log_limited(line);
        return more(volume_.background_step());
    } catch (const std::bad_alloc &) {
        return false;
    }
}

bool Background::more(const Result<bool> &result) {
    if (!result)
        report(result.error());
    return result && *result;
}

bool Background::prezero_step() {
    try {
        return more(volume_.prezero_step());
    } catch (const std::bad_alloc &) {
        return false;
    }
}

// Half of the time at most, so that a slow medium has room for others.
bool Background::prezero() {
    using Clock = std::chrono::steady_clock;
    for (auto begin = Clock::now();
         prezero_ == Prezero::on && state_.load() == State::quiet && prezero_step();
         begin = Clock::now()) {
        step(); // what turned out bad is noted
        const auto taken = std::chrono::ceil<std::chrono::milliseconds>(Clock::now() - begin);
        if (!pause(std::max(prezero_pause_ms, static_cast<unsigned>(taken.count()))))
            return false;
    }
    return true;
}

// Requests have ceased: nothing shall be left to replay, and memory goes back to the system.
void Background::settle() {
    try {
        if (const auto done = volume_.checkpoint(); !done)
            report(done.error());
    } catch (const std::bad_alloc &) {
        // What is left to replay is replayed.
    }
    ::malloc_trim(0);
}

void Background::report(const Error &error) {
    volume_.note_failure(error);
    if (error.code == Errc::read_only)
        return; // a read-only mount has no work of its own
    // Said once; and once more if only then the volume can no longer be written.
    const bool ended = volume_.read_only();
    if (ended ? reported_end_ : reported_)
        return;
    log(LogLevel::error, "background work failed: " + describe(error) +
                             (ended ? "; the volume is read-only from now on" : ""));
    reported_ = true;
    reported_end_ = ended;
}

void Background::serve() {
    unsigned quiet_ms = 0;
    for (;;) {
        if (step()) {
            quiet_ms = 0;
            if (!pause(0))
                return;
            continue;
        }
        State busy = State::busy;
        if (state_.compare_exchange_strong(busy, State::quiet))
            quiet_ms = 0;
        if (quiet_ms < idle_after_ms) {
            quiet_ms += look_period_ms;
            if (!pause(look_period_ms))
                return;
            continue;
        }
        settle();
        if (!prezero() || !sleep())
            return;
        quiet_ms = 0;
    }
}

} // namespace daxpin::fusefs
