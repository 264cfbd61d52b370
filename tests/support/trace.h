// SPDX-License-Identifier: BSD-3-Clause
//
// Trace: everything that happened on the media of a volume, in order, to be replayed later.
#pragma once

#include "support/sim_device.h"

#include <mutex>
#include <vector>

namespace daxpin::test {

struct Event {
    enum class Kind : std::uint8_t { store, flush, drain, poison, mark };
    Kind kind = Kind::mark;
    device::StoreKind store_kind = device::StoreKind::cached;
    std::uint8_t device = 0;
    std::uint16_t thread = 0;
    std::uint32_t length = 0; // bytes of a store; other lengths are in `data`
    std::uint64_t offset = 0; // of a store, flush or poison; the number of a mark
    std::uint64_t data = 0;   // store: where its new bytes stand in Trace::bytes; others: length
    bool operator==(const Event &) const = default;
};

struct Trace {
    std::vector<Event> events;
    std::vector<std::byte> bytes;

    std::span<const std::byte> stored(const Event &event) const {
        return std::span(bytes).subspan(event.data, event.length);
    }
};

// Records what happens on the media it was given. Thread-safe.
class TraceRecorder : public EventSink {
  public:
    // Starts to listen to `media`, which become devices 0, 1, ... of the trace.
    explicit TraceRecorder(const std::vector<std::shared_ptr<SimMedia>> &media);
    ~TraceRecorder() override; // stops listening

    // Notes that a point in the test was reached.
    void mark(std::uint64_t number);
    const Trace &trace() const { return trace_; }

    void about_to_store(const SimMedia &media, std::uint64_t offset, std::span<const std::byte> in,
                        device::StoreKind kind) override;
    void flushed(const SimMedia &media, std::uint64_t offset, std::uint64_t length) override;
    void drained(const SimMedia &media) override;
    void poisoned(const SimMedia &media, std::uint64_t offset, std::uint64_t length) override;

  private:
    std::uint8_t index_of(const SimMedia &media) const;
    void add(const Event &event);

    std::vector<std::shared_ptr<SimMedia>> media_;
    std::mutex mutex_;
    Trace trace_;
};

} // namespace daxpin::test
