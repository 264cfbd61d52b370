// SPDX-License-Identifier: BSD-3-Clause
#include "support/scheduler.h"

#include "base/assert.h"
#include "support/sim_device.h"
#include "support/test_env.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <thread>

namespace daxpin::test {

namespace {

constexpr unsigned no_thread = ~0U;
thread_local unsigned own_index = no_thread; // of the scheduler's thread that runs here

// More than all bounded waits of the engine together take: nobody will ever go on.
constexpr std::uint64_t waits_max = 1'000'000;

constexpr unsigned change_choices[] = {1, 2, 4, 8, 24, 80};
constexpr unsigned give_way_choices[] = {1, 1, 4, 1000};
constexpr unsigned deny_choices[] = {0, 0, 1000, 30};

} // namespace

Scheduler::Scheduler(std::uint64_t seed) : random_(seed * 0x9e3779b97f4a7c15U) {
    change_one_in_ = change_choices[split_mix(random_) % std::size(change_choices)];
    give_way_one_in_ = give_way_choices[split_mix(random_) % std::size(give_way_choices)];
    deny_one_in_ = deny_choices[split_mix(random_) % std::size(deny_choices)];
}

bool Scheduler::chance(unsigned one_in) {
    return split_mix(random_) % one_in == 0;
}

void Scheduler::hand_over(unsigned next) {
    turns_[next]->release();
}

unsigned Scheduler::choose_other(unsigned self) {
    const auto own = std::find(alive_.begin(), alive_.end(), self);
    const auto before = static_cast<std::size_t>(own - alive_.begin());
    const std::size_t draw = split_mix(random_) % (alive_.size() - 1);
    return alive_[draw < before ? draw : draw + 1];
}

void Scheduler::yield_point(bool waits) {
    const unsigned self = own_index;
    if (self == no_thread)
        return; // a thread beside those that are scheduled
    waits_ = waits ? waits_ + 1 : 0;
    if (waits_ > waits_max) {
        std::fprintf(stderr, "deadlock: each of %zu threads waits for another\n", alive_.size());
        std::abort();
    }
    if (alive_.size() == 1 || !chance(waits ? give_way_one_in_ : change_one_in_))
        return;
    hand_over(choose_other(self));
    turns_[self]->acquire();
}

bool Scheduler::denies() {
    return own_index != no_thread && deny_one_in_ != 0 && chance(deny_one_in_);
}

void Scheduler::end(unsigned self) {
    waits_ = 0;
    const bool last = alive_.size() == 1;
    const unsigned next = last ? no_thread : choose_other(self);
    std::erase(alive_, self);
    if (!last)
        hand_over(next);
}

void Scheduler::start(unsigned self, const std::function<void()> &body) {
    own_index = self;
    set_thread_number(first_thread_number + self);
    turns_[self]->acquire();
    body();
    end(self);
}

void Scheduler::run(const std::vector<std::function<void()>> &bodies) {
    turns_.clear();
    alive_.clear();
    for (unsigned i = 0; i < bodies.size(); ++i) {
        turns_.push_back(std::make_unique<std::binary_semaphore>(0));
        alive_.push_back(i);
    }
    SchedulerHook *none = nullptr;
    DAXPIN_ASSERT(scheduler_hook.compare_exchange_strong(none, this));
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < bodies.size(); ++i)
        threads.emplace_back([this, i, &bodies] { start(i, bodies[i]); });
    hand_over(static_cast<unsigned>(split_mix(random_) % bodies.size()));
    for (auto &thread : threads)
        thread.join();
    scheduler_hook = nullptr;
}

} // namespace daxpin::test
