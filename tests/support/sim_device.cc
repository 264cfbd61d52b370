// SPDX-License-Identifier: BSD-3-Clause
#include "support/sim_device.h"

#include "base/assert.h"
#include "base/sync.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

namespace daxpin::test {

using device::StoreKind;

namespace {

thread_local unsigned own_number = 0; // none yet

} // namespace

unsigned thread_number() {
    static std::atomic<unsigned> next{1};
    if (own_number == 0)
        own_number = next++;
    return own_number;
}

void set_thread_number(unsigned number) {
    own_number = number;
}

// ---- SimMedia ---------------------------------------------------------------------------------

std::shared_ptr<SimMedia> SimMedia::create(const SimOptions &options) {
    return std::shared_ptr<SimMedia>(new SimMedia(options, true));
}

namespace {

// The same memory twice, kept for the next media of that size: to map it anew costs more than most
// of what tests do with it. Not for a child of the process that mapped it, as it would share it.
struct Mapping {
    std::size_t size = 0;
    std::byte *writable = nullptr;
    const std::byte *readable = nullptr;
    pid_t owner = 0;
};

std::mutex spare_mutex;
std::vector<Mapping> spare_mappings;
constexpr std::size_t spare_mappings_max = 16;

Mapping new_mapping(std::size_t size) {
    const int fd = memfd_create("sim-media", MFD_CLOEXEC);
    DAXPIN_ASSERT(fd >= 0 && ftruncate(fd, static_cast<off_t>(size)) == 0);
    void *writable = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    void *readable = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    DAXPIN_ASSERT(writable != MAP_FAILED && readable != MAP_FAILED);
    close(fd);
    return {size, static_cast<std::byte *>(writable), static_cast<const std::byte *>(readable),
            getpid()};
}

// Its content is zero, or what it was.
Mapping take_mapping(std::size_t size, bool zero) {
    {
        std::lock_guard lock(spare_mutex);
        const auto spare =
            std::find_if(spare_mappings.begin(), spare_mappings.end(), [&](const Mapping &one) {
                return one.size == size && one.owner == getpid();
            });
        if (spare != spare_mappings.end()) {
            const Mapping taken = *spare;
            spare_mappings.erase(spare);
            if (zero)
                std::memset(taken.writable, 0, size);
            return taken;
        }
    }
    return new_mapping(size);
}

void give_back_mapping(const Mapping &mapping) {
    {
        std::lock_guard lock(spare_mutex);
        if (mapping.owner == getpid() && spare_mappings.size() < spare_mappings_max) {
            spare_mappings.push_back(mapping);
            return;
        }
    }
    munmap(mapping.writable, mapping.size);
    munmap(const_cast<std::byte *>(mapping.readable), mapping.size);
}

} // namespace

SimMedia::SimMedia(const SimOptions &options, bool zero) : options_(options) {
    DAXPIN_ASSERT(options.size > 0 && options.size % block_size == 0);
    const Mapping mapping = take_mapping(options.size, zero);
    writable_ = mapping.writable;
    readable_ = mapping.readable;
    mapper_ = mapping.owner;
}

SimMedia::~SimMedia() {
    give_back_mapping({options_.size, writable_, readable_, mapper_});
}

std::shared_ptr<SimMedia> SimMedia::clone() const {
    const std::shared_ptr<SimMedia> copy(new SimMedia(options_, false));
    std::memcpy(copy->writable_, readable_, options_.size);
    copy->unsafe_shutdowns_ = unsafe_shutdowns_;
    return copy;
}

std::unique_ptr<device::Device> SimMedia::open(bool read_only) {
    return std::make_unique<SimDevice>(shared_from_this(), read_only);
}

void SimMedia::fail_drains_from(std::uint64_t n) {
    drains_until_failure_ = n;
}

void SimMedia::poison(std::uint64_t offset, std::uint64_t length) {
    if (EventSink *sink = sink_.load()) {
        std::lock_guard lock(event_mutex_);
        sink->poisoned(*this, offset, length);
    }
    poison_length_ = 0;
    poison_offset_ = offset;
    poison_length_ = length;
}

bool SimMedia::poisoned(std::uint64_t offset, std::uint64_t length) const {
    const std::uint64_t count = poison_length_.load(std::memory_order_relaxed);
    if (count == 0) [[likely]]
        return false;
    const std::uint64_t start = poison_offset_.load(std::memory_order_relaxed);
    return offset < start + count && start < offset + length;
}

// Cuts [offset, offset + length) off the poison, which must not lie on both sides of it.
void SimMedia::heal(std::uint64_t offset, std::uint64_t length) {
    if (!heals_ || !poisoned(offset, length))
        return;
    const std::uint64_t start = poison_offset_;
    const std::uint64_t end = start + poison_length_;
    DAXPIN_ASSERT(start >= offset || end <= offset + length);
    if (start >= offset)
        poison(offset + length, end > offset + length ? end - offset - length : 0);
    else
        poison(start, offset - start);
}

Result<void> SimMedia::check(std::uint64_t offset, std::uint64_t length) const {
    DAXPIN_ASSERT(offset <= options_.size && length <= options_.size - offset);
    if (poisoned(offset, length))
        return Errc::io;
    return {};
}

// ---- SimDevice --------------------------------------------------------------------------------

SimDevice::SimDevice(std::shared_ptr<SimMedia> media, bool read_only) : media_(std::move(media)) {
    info_.path = "simulated";
    info_.size = media_->options().size;
    info_.mapping_unit = media_->options().mapping_unit;
    info_.domain = media_->options().domain;
    info_.read_only = read_only;
    info_.unsafe_shutdowns = media_->unsafe_shutdowns_;
}

Result<void> SimDevice::read(std::uint64_t offset, std::span<std::byte> out) const {
    DAXPIN_TRY(media_->check(offset, out.size()));
    may_interleave();
    std::memcpy(out.data(), media_->readable_ + offset, out.size());
    return {};
}

Result<void> SimDevice::look_at(std::uint64_t offset, std::size_t length, LookAccess access,
                                const void *context) const {
    DAXPIN_TRY(media_->check(offset, length));
    may_interleave();
    access(context, media_->readable_ + offset);
    return {};
}

// Stores bytes of one kind. An aligned word goes in one piece, as readers of it may run.
void SimDevice::store(std::uint64_t offset, std::span<const std::byte> in, StoreKind kind) {
    if (in.empty())
        return;
    DAXPIN_ASSERT(!info_.read_only);
    may_interleave();
    std::unique_lock<std::mutex> lock;
    if (EventSink *sink = media_->sink_.load(std::memory_order_relaxed)) {
        lock = std::unique_lock(media_->event_mutex_);
        sink->about_to_store(*media_, offset, in, kind);
    }
    std::byte *target = media_->writable_ + offset;
    if (in.size() == 8 && offset % 8 == 0) {
        std::uint64_t value;
        std::memcpy(&value, in.data(), 8);
        __atomic_store_n(reinterpret_cast<std::uint64_t *>(target), value, __ATOMIC_RELAXED);
    } else {
        std::memcpy(target, in.data(), in.size());
    }
}

Result<void> SimDevice::store8(std::uint64_t offset, std::uint64_t value) {
    DAXPIN_ASSERT(offset % 8 == 0);
    DAXPIN_TRY(media_->check(offset, 8));
    store(offset, std::as_bytes(std::span(&value, 1)), StoreKind::cached);
    return {};
}

Result<void> SimDevice::copy(std::uint64_t offset, std::span<const std::byte> in, StoreKind kind) {
    DAXPIN_TRY(media_->check(offset, in.size()));
    if (kind == StoreKind::cached) {
        store(offset, in, kind);
        return {};
    }
    // Words that the bytes do not fill are stored through the cache and flushed.
    const std::size_t head = std::min<std::size_t>((8 - offset % 8) % 8, in.size());
    const std::size_t tail = (in.size() - head) % 8;
    const std::size_t middle = in.size() - head - tail;
    if (head > 0) {
        store(offset, in.first(head), StoreKind::cached);
        flush(offset, head);
    }
    store(offset + head, in.subspan(head, middle), StoreKind::nontemporal);
    if (tail > 0) {
        store(offset + head + middle, in.last(tail), StoreKind::cached);
        flush(offset + head + middle, tail);
    }
    return {};
}

Result<void> SimDevice::set(std::uint64_t offset, std::byte value, std::uint64_t length,
                            StoreKind kind) {
    std::array<std::byte, block_size> pattern;
    pattern.fill(value);
    DAXPIN_TRY(media_->check(offset, length));
    while (length > 0) {
        const std::uint64_t step = std::min(length, block_size - offset % block_size);
        DAXPIN_TRY(copy(offset, std::span(pattern).first(step), kind));
        offset += step;
        length -= step;
    }
    return {};
}

void SimDevice::flush(std::uint64_t offset, std::uint64_t length) {
    DAXPIN_ASSERT(!info_.read_only);
    DAXPIN_ASSERT(offset <= info_.size && length <= info_.size - offset);
    may_interleave();
    if (EventSink *sink = media_->sink_.load(std::memory_order_relaxed)) {
        std::lock_guard lock(media_->event_mutex_);
        sink->flushed(*media_, offset, length);
    }
}

Result<void> SimDevice::drain() {
    if (media_->drains_until_failure_.load(std::memory_order_relaxed) > 0) {
        if (media_->drains_until_failure_ == 1)
            return Errc::io;
        --media_->drains_until_failure_;
    }
    may_interleave();
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (EventSink *sink = media_->sink_.load(std::memory_order_relaxed)) {
        std::lock_guard lock(media_->event_mutex_);
        sink->drained(*media_);
    }
    return {};
}

Result<void> SimDevice::deep_flush(std::uint64_t offset, std::uint64_t length) {
    flush(offset, length);
    return drain();
}

Result<void> SimDevice::rewrite(std::uint64_t offset, std::span<const std::byte> block) {
    media_->heal(offset, block.size());
    return Device::rewrite(offset, block);
}

device::DeviceTable open_table(const std::vector<std::shared_ptr<SimMedia>> &media) {
    std::vector<std::unique_ptr<device::Device>> devices;
    for (const auto &one : media)
        devices.push_back(one->open());
    return device::DeviceTable(std::move(devices));
}

} // namespace daxpin::test
