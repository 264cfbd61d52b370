// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/notifier.h"

#include "fusefs/thread.h"

#include <algorithm>
#include <new>

namespace daxpin::fusefs {
namespace {

// The calling thread's, while it works on a request.
thread_local Notifier::Collector *current_collector = nullptr;

} // namespace

Notifier::Collector::Collector() {
    current_collector = this;
}

Notifier::Collector::~Collector() {
    current_collector = nullptr;
}

// What became stale has been done and cannot fail any more: without memory a stale cache is the
// lesser evil.
void Notifier::note(const Invalidation &invalidation) {
    try {
        remember(invalidation);
    } catch (const std::bad_alloc &) {
        return;
    }
}

void Notifier::remember(const Invalidation &invalidation) {
    if (current_collector == nullptr) {
        push(std::make_unique<Deferred>(std::vector{invalidation}));
        return;
    }
    auto &found = current_collector->found_;
    if (std::find(found.begin(), found.end(), invalidation) == found.end())
        found.push_back(invalidation);
}

Notifier::Queue &Notifier::queue_for(const Deferred &deferred) {
    if (deferred.writes_back())
        return write_backs_;
    return std::ranges::any_of(deferred.invalidations, &Invalidation::data) ? pages_ : attributes_;
}

void Notifier::push(std::unique_ptr<Deferred> deferred) noexcept {
    Queue &queue = queue_for(*deferred);
    queue.push(std::move(deferred));
}

void Notifier::start() {
    attributes_.start();
    pages_.start();
    write_backs_.start();
}

// What was written back runs a request's handler, which may push to the others.
void Notifier::stop() {
    write_backs_.stop();
    pages_.stop();
    attributes_.stop();
}

void Notifier::Queue::push(std::unique_ptr<Deferred> deferred) noexcept {
    {
        const MutexLock lock(mutex_);
        Deferred *const added = deferred.get();
        (last_ != nullptr ? last_->next_ : first_) = std::move(deferred);
        last_ = added;
    }
    changed_.notify_one();
}

std::unique_ptr<Deferred> Notifier::Queue::pop() {
    const MutexLock lock(mutex_);
    while (!first_ && !stopping_)
        changed_.wait(mutex_);
    auto popped = std::move(first_);
    if (popped)
        first_ = std::move(popped->next_);
    if (!first_)
        last_ = nullptr;
    return popped;
}

void Notifier::Queue::start() {
    thread_ = start_thread("notifier", [this] { serve(); });
}

void Notifier::Queue::stop() {
    if (!thread_.joinable())
        return;
    {
        const MutexLock lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

void Notifier::Queue::serve() {
    while (const auto deferred = pop()) {
        for (const Invalidation &invalidation : deferred->invalidations)
            tell_(invalidation);
        deferred->run();
    }
}

} // namespace daxpin::fusefs
