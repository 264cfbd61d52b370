// SPDX-License-Identifier: BSD-3-Clause
#include "support/trace.h"

#include "base/assert.h"

namespace daxpin::test {

TraceRecorder::TraceRecorder(const std::vector<std::shared_ptr<SimMedia>> &media) : media_(media) {
    for (const auto &one : media_)
        one->set_sink(this);
}

TraceRecorder::~TraceRecorder() {
    for (const auto &one : media_)
        one->set_sink(nullptr);
}

std::uint8_t TraceRecorder::index_of(const SimMedia &media) const {
    std::size_t index = 0;
    while (media_[index].get() != &media)
        ++index;
    return static_cast<std::uint8_t>(index);
}

void TraceRecorder::add(const Event &event) {
    trace_.events.push_back(event);
    trace_.events.back().thread = static_cast<std::uint16_t>(thread_number());
}

void TraceRecorder::mark(std::uint64_t number) {
    std::lock_guard lock(mutex_);
    Event event;
    event.offset = number;
    add(event);
}

void TraceRecorder::about_to_store(const SimMedia &media, std::uint64_t offset,
                                   std::span<const std::byte> in, device::StoreKind kind) {
    std::lock_guard lock(mutex_);
    Event event;
    event.kind = Event::Kind::store;
    event.store_kind = kind;
    event.device = index_of(media);
    event.offset = offset;
    event.length = static_cast<std::uint32_t>(in.size());
    event.data = trace_.bytes.size();
    trace_.bytes.insert(trace_.bytes.end(), in.begin(), in.end());
    add(event);
}

void TraceRecorder::flushed(const SimMedia &media, std::uint64_t offset, std::uint64_t length) {
    std::lock_guard lock(mutex_);
    Event event;
    event.kind = Event::Kind::flush;
    event.device = index_of(media);
    event.offset = offset;
    event.data = length;
    add(event);
}

void TraceRecorder::drained(const SimMedia &media) {
    std::lock_guard lock(mutex_);
    Event event;
    event.kind = Event::Kind::drain;
    event.device = index_of(media);
    add(event);
}

void TraceRecorder::poisoned(const SimMedia &media, std::uint64_t offset, std::uint64_t length) {
    std::lock_guard lock(mutex_);
    Event event;
    event.kind = Event::Kind::poison;
    event.device = index_of(media);
    event.offset = offset;
    event.data = length;
    add(event);
}

} // namespace daxpin::test
