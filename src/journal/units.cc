// SPDX-License-Identifier: BSD-3-Clause
#include "journal/units.h"

#include "base/assert.h"
#include "base/checksum.h"
#include "base/sync.h"

#include <utility>

namespace daxpin::journal {

namespace {

// A lock word: readers counted in the low bits. A waiting writer holds new readers off.
constexpr std::uint32_t exclusive_bit = 1U << 31;
constexpr std::uint32_t writer_waits_bit = 1U << 30;
constexpr std::uint32_t verified_bit = 1U << 29;
constexpr std::uint32_t reader_mask = (1U << 24) - 1;

constexpr unsigned bounded_rounds = 64; // without giving the processor up: spin_wait()
constexpr unsigned soon_rounds = 256;
constexpr unsigned unbounded = ~0U;

bool acquire_shared(std::atomic<std::uint32_t> &word, unsigned rounds) {
    may_interleave();
    for (unsigned round = 0; round < rounds || rounds == unbounded; ++round) {
        auto seen = word.load(std::memory_order_relaxed);
        if ((seen & (exclusive_bit | writer_waits_bit)) == 0 &&
            word.compare_exchange_weak(seen, seen + 1, std::memory_order_acquire,
                                       std::memory_order_relaxed))
            return true;
        spin_wait(round);
    }
    return false;
}

bool acquire_exclusive(std::atomic<std::uint32_t> &word, unsigned rounds) {
    may_interleave();
    for (unsigned round = 0; round < rounds || rounds == unbounded; ++round) {
        auto seen = word.load(std::memory_order_relaxed);
        if ((seen & (exclusive_bit | reader_mask)) == 0) {
            if (word.compare_exchange_weak(seen, (seen & ~writer_waits_bit) | exclusive_bit,
                                           std::memory_order_acquire, std::memory_order_relaxed))
                return true;
        } else if ((seen & writer_waits_bit) == 0) {
            word.fetch_or(writer_waits_bit, std::memory_order_relaxed);
        }
        spin_wait(round);
    }
    word.fetch_and(~writer_waits_bit, std::memory_order_relaxed);
    return false;
}

bool await_free(const std::atomic<std::uint32_t> &word, unsigned rounds) {
    for (unsigned round = 0; round < rounds || rounds == unbounded; ++round) {
        if ((word.load(std::memory_order_acquire) & (exclusive_bit | reader_mask)) == 0)
            return true;
        spin_wait(round);
    }
    return false;
}

// Where the lock word of a chunk's unit is: those of neighbours, which threads use at a time, lie
// in different cache lines.
template <std::size_t words> constexpr std::size_t spread(std::size_t unit) {
    constexpr std::size_t line_words = 64 / sizeof(std::uint32_t), lines = words / line_words;
    return unit % lines * line_words + unit / lines;
}

template <std::size_t words> constexpr bool spreads_all() {
    std::array<bool, words> taken{};
    for (std::size_t unit = 0; unit < words; ++unit)
        if (std::exchange(taken[spread<words>(unit)], true))
            return false;
    return true;
}

struct KeptBuffers {
    std::array<std::unique_ptr<UnitBytes>, 16> buffers;
    std::size_t count = 0;
};

thread_local KeptBuffers kept_buffers;

} // namespace

UnitBuffer make_unit_buffer() {
    auto &kept = kept_buffers;
    if (kept.count == 0)
        return UnitBuffer(new UnitBytes);
    return UnitBuffer(kept.buffers[--kept.count].release());
}

void KeepUnitBuffer::operator()(UnitBytes *bytes) const noexcept {
    auto &kept = kept_buffers;
    std::unique_ptr<UnitBytes> owned(bytes);
    if (kept.count < kept.buffers.size())
        kept.buffers[kept.count++] = std::move(owned);
}

void drop_unit_buffers() noexcept {
    while (kept_buffers.count > 0)
        kept_buffers.buffers[--kept_buffers.count].reset();
}

bool is_intact(const UnitBytes &unit) {
    le32 stored;
    std::memcpy(&stored, unit.data(), sizeof stored);
    return crc32c(std::span<const std::byte>(unit).subspan(sizeof stored)) == stored;
}

Units::Units(const device::DeviceTable &devices)
    : devices_(devices), unit_count_(devices.metadata().info().size / block_size),
      chunks_((unit_count_ + chunk_words - 1) / chunk_words) {}

Units::~Units() {
    for (auto &chunk : chunks_)
        delete chunk.load(std::memory_order_relaxed);
}

Units::Word &Units::word(MediaBlock unit) {
    DAXPIN_ASSERT(unit.device() == 0 && unit.block() < unit_count_);
    auto &slot = chunks_[unit.block() / chunk_words];
    auto *chunk = slot.load(std::memory_order_acquire);
    if (chunk == nullptr) {
        auto fresh = std::make_unique<Chunk>();
        if (slot.compare_exchange_strong(chunk, fresh.get(), std::memory_order_acq_rel))
            chunk = fresh.release();
    }
    static_assert(spreads_all<chunk_words>());
    return chunk->words[spread<chunk_words>(unit.block() % chunk_words)];
}

void Units::lock_shared(MediaBlock unit) {
    acquire_shared(word(unit), unbounded);
}

bool Units::try_lock_shared(MediaBlock unit) {
    return !is_denied() && acquire_shared(word(unit), bounded_rounds);
}

void Units::unlock_shared(MediaBlock unit) {
    const auto before = word(unit).fetch_sub(1, std::memory_order_release);
    DAXPIN_ASSERT((before & reader_mask) != 0);
}

bool Units::try_lock(MediaBlock unit) {
    return !is_denied() && acquire_exclusive(word(unit), bounded_rounds);
}

void Units::lock(MediaBlock unit) {
    acquire_exclusive(word(unit), unbounded);
}

void Units::unlock(MediaBlock unit) {
    const auto before = word(unit).fetch_and(~exclusive_bit, std::memory_order_release);
    DAXPIN_ASSERT((before & exclusive_bit) != 0);
}

void Units::wait_until_free(MediaBlock unit) {
    await_free(word(unit), unbounded);
}

bool Units::is_free_soon(MediaBlock unit) {
    return await_free(word(unit), soon_rounds);
}

// A media error in metadata is damage like any other.
Error Units::damage_of(MediaBlock unit, Error error) {
    if (error.code != Errc::io)
        return error;
    return {Errc::corrupt,
            "metadata block " + std::to_string(unit.block()) + " cannot be read (media error)"};
}

Result<void> Units::load(MediaBlock unit, UnitBytes &out) {
    if (auto done = devices_.read(unit, 0, out); !done)
        return damage_of(unit, std::move(done).error());
    if (is_verified(unit))
        return {};
    if (!is_intact(out))
        return Error{Errc::corrupt,
                     "metadata block " + std::to_string(unit.block()) + " has a wrong checksum"};
    set_verified(unit, true);
    return {};
}

Result<void> Units::verify(MediaBlock unit) {
    return load(unit, *make_unit_buffer());
}

bool Units::is_verified(MediaBlock unit) {
    return (word(unit).load(std::memory_order_relaxed) & verified_bit) != 0;
}

Result<void> Units::check_address(MediaBlock unit) const {
    if (unit.device() != 0 || unit.block() == 0 || unit.block() >= unit_count_)
        return Error{Errc::corrupt, "metadata points outside the metadata device"};
    return {};
}

void Units::set_verified(MediaBlock unit, bool verified) {
    if (verified)
        word(unit).fetch_or(verified_bit, std::memory_order_relaxed);
    else
        word(unit).fetch_and(~verified_bit, std::memory_order_relaxed);
}

} // namespace daxpin::journal
