// SPDX-License-Identifier: BSD-3-Clause
//
// Units: locks and verification state of checked units (4 KiB metadata blocks of device 0).
//
// A unit begins with a CRC-32C of its other 4092 bytes. It is locked shared to be read and
// exclusively from the first read by a transaction to the end of its home write. It is verified
// at its first use after mount. Lock words live in chunks made on first use: 4 bytes for each of
// 4,096 units of which one was touched.
//
// Deadlock rule (docs/locking.md): whoever holds a unit exclusively only *tries* for others that
// somebody may hold while he waits, for a bounded time, and gives up with Errc::retry; whoever
// holds none exclusively may wait.
#pragma once

#include "base/checksum_change.h"
#include "base/result.h"
#include "device/device_table.h"

#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <vector>

namespace daxpin::journal {

using UnitBytes = std::array<std::byte, block_size>;

// Which of a unit's lines (checksum_line_bytes each) a range lies in; bit 0 is the first line.
constexpr std::uint64_t lines_of(std::size_t offset, std::size_t length) {
    constexpr std::size_t last_line = block_size / checksum_line_bytes - 1;
    if (length == 0)
        return 0;
    return ~std::uint64_t{0} << (offset / checksum_line_bytes) &
           ~std::uint64_t{0} >> (last_line - (offset + length - 1) / checksum_line_bytes);
}

bool is_intact(const UnitBytes &unit); // its checksum holds

// Memory for the bytes of a unit, not cleared. A thread keeps some of what it gives back, as every
// transaction asks for a few, and malloc is slow at this size. ERRORS: std::bad_alloc.
struct KeepUnitBuffer {
    void operator()(UnitBytes *bytes) const noexcept;
};
using UnitBuffer = std::unique_ptr<UnitBytes, KeepUnitBuffer>;
UnitBuffer make_unit_buffer();
void drop_unit_buffers() noexcept; // frees what the calling thread keeps; for tests that count

class Units {
  public:
    explicit Units(const device::DeviceTable &devices);
    ~Units();

    void lock_shared(MediaBlock unit);
    bool try_lock_shared(MediaBlock unit); // bounded wait
    void unlock_shared(MediaBlock unit);
    bool try_lock(MediaBlock unit); // exclusive, bounded wait
    // Exclusive. REQUIRES: whoever holds `unit` waits for no unit that the caller holds.
    void lock(MediaBlock unit);
    void unlock(MediaBlock unit);

    // Waits until `unit` could be locked, holding nothing: the start of a retry.
    void wait_until_free(MediaBlock unit);
    // The same for a bounded time; false if it could not.
    bool is_free_soon(MediaBlock unit);

    // Copies the unit out. REQUIRES: locked by the caller, shared or exclusive.
    // ERRORS: corrupt if it cannot be read, or its checksum does not hold at first use.
    Result<void> load(MediaBlock unit, UnitBytes &out);
    // Calls access(const std::byte *) with the unit's bytes in place, as Device::look() does, whose
    // conditions hold. REQUIRES and ERRORS: those of load().
    template <typename Access> Result<void> look(MediaBlock unit, const Access &access) {
        if (!is_verified(unit))
            DAXPIN_TRY(verify(unit));
        if (auto done = devices_.look(unit, 0, block_size, access); !done) [[unlikely]]
            return damage_of(unit, std::move(done).error());
        return {};
    }

    // Asks ahead for the unit's first lines. REQUIRES: check_address().
    void prefetch(MediaBlock unit) const {
        constexpr std::size_t lines = 5; // a node's header, a leaf's slots
        devices_.prefetch(unit, 0, lines * checksum_line_bytes);
    }

    // A unit outside device 0's range: Errc::corrupt. Pointers from media go through this.
    Result<void> check_address(MediaBlock unit) const;

    // Declares a unit verified (just written by us) or not (freed).
    void set_verified(MediaBlock unit, bool verified);

  private:
    using Word = std::atomic<std::uint32_t>;
    static constexpr std::size_t chunk_words = 4096;
    struct Chunk {
        std::array<Word, chunk_words> words{};
    };
    Word &word(MediaBlock unit);
    bool is_verified(MediaBlock unit);
    Result<void> verify(MediaBlock unit);
    static Error damage_of(MediaBlock unit, Error error);

    const device::DeviceTable &devices_;
    std::uint64_t unit_count_;
    std::vector<std::atomic<Chunk *>> chunks_;
};

} // namespace daxpin::journal
