// SPDX-License-Identifier: BSD-3-Clause
//
// SimMedia and SimDevice: persistent memory simulated on ordinary memory.
//
// SimMedia is the memory; it outlives the devices opened on it, as real media outlive a mount.
// Its pages are mapped twice: the engine sees the read-only alias, so a store that bypasses
// device::Device faults at once. Without a sink it only copies bytes and is as thread-safe as
// memory is. With a sink every store, flush and drain is told, one at a time, before it happens
// (persistence_model.h makes crash images of that). Each of them, and each read, is a point at
// which a scheduler (scheduler.h) may let another thread run.
#pragma once

#include "device/device.h"
#include "device/device_table.h"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <sys/types.h>
#include <vector>

namespace daxpin::test {

class SimMedia;

// A small number for the calling thread: the one it was given, or else 1, 2, ... in the order of
// first use.
unsigned thread_number();
void set_thread_number(unsigned number);

// Told of everything that happens on media. Calls are serialized by the media.
class EventSink {
  public:
    virtual ~EventSink() = default;
    // `media` still holds the old bytes.
    virtual void about_to_store(const SimMedia &media, std::uint64_t offset,
                                std::span<const std::byte> in, device::StoreKind kind) = 0;
    virtual void flushed(const SimMedia &media, std::uint64_t offset, std::uint64_t length) = 0;
    virtual void drained(const SimMedia &media) = 0;
    // From now on this range, and no other, is poisoned; length 0: none is.
    virtual void poisoned(const SimMedia &media, std::uint64_t offset, std::uint64_t length) {
        static_cast<void>(media), static_cast<void>(offset), static_cast<void>(length);
    }
};

struct SimOptions {
    std::uint64_t size = std::uint64_t{4} << 20; // bytes, a multiple of block_size
    device::Domain domain = device::Domain::cache_line;
    std::uint64_t mapping_unit = block_size;
};

class SimMedia : public std::enable_shared_from_this<SimMedia> {
  public:
    // Zero-filled.
    static std::shared_ptr<SimMedia> create(const SimOptions &options = {});
    // The same content and options on memory of its own; no sink, no faults.
    std::shared_ptr<SimMedia> clone() const;
    ~SimMedia();
    SimMedia(const SimMedia &) = delete;
    SimMedia &operator=(const SimMedia &) = delete;

    // A device on this media. Several may exist at a time; they see the same bytes.
    std::unique_ptr<device::Device> open(bool read_only = false);

    // The back door of tests: damages media or looks at it, no sink is told.
    std::span<std::byte> bytes() { return {writable_, options_.size}; }
    std::span<const std::byte> bytes() const { return {readable_, options_.size}; }
    const SimOptions &options() const { return options_; }

    // Null for none. The sink must outlive its use; set it while nobody stores.
    void set_sink(EventSink *sink) { sink_.store(sink); }

    // The drain number `n` from now (1 = the next) and all after it fail; 0 = none fails.
    void fail_drains_from(std::uint64_t n);
    // Reads and stores that touch [offset, offset + length) fail; length 0 heals.
    void poison(std::uint64_t offset, std::uint64_t length);
    struct Poison {
        std::uint64_t offset = 0;
        std::uint64_t length = 0; // 0: there is none
        bool operator==(const Poison &) const = default;
    };
    Poison poison() const { return {poison_offset_, poison_length_}; }
    // Device::rewrite() of a block ends its poison, as real media do. Off at first.
    void heal_on_rewrite(bool heals) { heals_ = heals; }

    // What devices opened from now on tell; nothing at first.
    void tell_unsafe_shutdowns(std::optional<std::uint64_t> count) { unsafe_shutdowns_ = count; }

  private:
    friend class SimDevice;
    SimMedia(const SimOptions &options, bool zero);
    bool poisoned(std::uint64_t offset, std::uint64_t length) const;
    void heal(std::uint64_t offset, std::uint64_t length);
    Result<void> check(std::uint64_t offset, std::uint64_t length) const;

    SimOptions options_;
    std::byte *writable_ = nullptr;
    const std::byte *readable_ = nullptr;
    pid_t mapper_ = 0; // the process that made the mapping
    std::atomic<EventSink *> sink_{nullptr};
    std::mutex event_mutex_; // with a sink: one event at a time
    std::atomic<std::uint64_t> drains_until_failure_{0};
    std::atomic<std::uint64_t> poison_offset_{0};
    std::atomic<std::uint64_t> poison_length_{0};
    std::atomic<bool> heals_{false};
    std::optional<std::uint64_t> unsafe_shutdowns_;
};

class SimDevice : public device::Device {
  public:
    SimDevice(std::shared_ptr<SimMedia> media, bool read_only);

    const device::DeviceInfo &info() const override { return info_; }
    std::span<const std::byte> view() const override { return {media_->readable_, info_.size}; }
    Result<void> read(std::uint64_t offset, std::span<std::byte> out) const override;
    Result<void> look_at(std::uint64_t offset, std::size_t length, LookAccess access,
                         const void *context) const override;
    Result<void> store8(std::uint64_t offset, std::uint64_t value) override;
    Result<void> copy(std::uint64_t offset, std::span<const std::byte> in,
                      device::StoreKind kind) override;
    Result<void> set(std::uint64_t offset, std::byte value, std::uint64_t length,
                     device::StoreKind kind) override;
    void flush(std::uint64_t offset, std::uint64_t length) override;
    Result<void> drain() override;
    Result<void> deep_flush(std::uint64_t offset, std::uint64_t length) override;
    Result<void> rewrite(std::uint64_t offset, std::span<const std::byte> block) override;

    SimMedia &media() { return *media_; }

  private:
    void store(std::uint64_t offset, std::span<const std::byte> in, device::StoreKind kind);

    std::shared_ptr<SimMedia> media_;
    device::DeviceInfo info_;
};

// A device table over media, in order; for code that takes all devices of a volume.
device::DeviceTable open_table(const std::vector<std::shared_ptr<SimMedia>> &media);

} // namespace daxpin::test
