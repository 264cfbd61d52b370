// SPDX-License-Identifier: BSD-3-Clause
//
// PowerCut: what a power failure may leave of a device whose stores were recorded.
//
// The trace is gone through from drain to drain; at each stop the states are those of a power
// failure before the drain is made.
#pragma once

#include "support/persistence_model.h"
#include "support/test_env.h"
#include "support/trace.h"

#include <algorithm>
#include <memory>

namespace daxpin::test {

class PowerCut {
  public:
    // `initial`: what the device held, durably, when the recording began. The trace must stay.
    PowerCut(const SimOptions &device, std::span<const std::byte> initial, const Trace &trace)
        : device_(device), trace_(trace), model_(device.domain, initial) {}

    // Goes on to the next drain; false at the end of the trace, where it stops, too.
    bool to_next_drain() {
        if (position_ < trace_.events.size())
            feed(trace_.events[position_++]);
        while (position_ < trace_.events.size() &&
               trace_.events[position_].kind != Event::Kind::drain)
            feed(trace_.events[position_++]);
        return position_ < trace_.events.size();
    }
    void to_end() {
        while (to_next_drain())
            ;
    }
    // The event that comes next.
    std::size_t position() const { return position_; }

    // Seed 0: nothing of what is undecided reached the device; 1: all of it; others: what lies
    // below some place, what lies above it (so a whole record may be there without its data), any
    // part.
    std::shared_ptr<SimMedia> state(std::uint64_t seed) const {
        auto media = SimMedia::create(device_);
        std::ranges::copy(model_.durable(), media->bytes().begin());
        const auto undecided = model_.undecided();
        std::uint64_t random = seed;
        // As often among the first few as among the many behind them: a record is a few.
        const std::size_t within = undecided.size() >> (split_mix(random) % 8);
        const std::size_t place = within == 0 ? 0 : split_mix(random) % within;
        for (std::size_t i = 0; i < undecided.size(); ++i) {
            const auto contents = model_.contents(undecided[i]); // the first is the durable one
            const std::size_t newest = std::min<std::size_t>(1, contents.size() - 1);
            const auto content = seed == 0       ? contents[0]
                                 : seed == 1     ? contents[newest]
                                 : seed % 3 == 2 ? contents[i <= place ? newest : 0]
                                 : seed % 3 == 0 ? contents[i <= place ? 0 : newest]
                                                 : model_.random_content(undecided[i], random);
            std::ranges::copy(content,
                              media->bytes().begin() + static_cast<std::ptrdiff_t>(undecided[i]));
        }
        return media;
    }

  private:
    void feed(const Event &event) {
        if (event.kind == Event::Kind::store)
            model_.store(event.offset, trace_.stored(event), event.store_kind, event.thread);
        else if (event.kind == Event::Kind::flush)
            model_.flush(event.offset, event.data, event.thread);
        else if (event.kind == Event::Kind::drain)
            model_.drain(event.thread);
    }

    const SimOptions device_;
    const Trace &trace_;
    PersistenceModel model_;
    std::size_t position_ = 0;
};

} // namespace daxpin::test
