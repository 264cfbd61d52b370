// SPDX-License-Identifier: BSD-3-Clause
//
// Ring: the journal's records as a recovery would find them, without changing anything.
//
// walk() goes from the tail to the first position without a valid record, then looks further for
// signs that the stop is damage and not the end. Memory is proportional to the entries found.
// Not thread-safe. Rules: docs/format.md, "Journal".
#pragma once

#include "base/checksum.h"
#include "device/device.h"
#include "format/layout.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace daxpin::reader {

struct Record {
    std::uint64_t sequence;
    std::uint32_t length;
    std::uint32_t entry_count;
};

// One outcome: where its bytes go, and where in the ring they stand.
struct Patch {
    std::uint64_t block; // MediaBlock
    std::uint64_t seat;  // byte of the ring
    std::uint16_t offset;
    std::uint16_t length;
};

struct Walk {
    std::vector<Record> records;
    std::vector<Patch> patches;                // in the order of replay
    std::uint64_t stop = 0;                    // sequence of the next record to be written
    std::vector<std::string> damage;           // the records are not to be replayed
    std::optional<std::uint32_t> unknown_type; // of the record at `stop`: nor then
    std::vector<std::string> unreadable;       // parts behind `stop`: nor then

    bool replayable() const { return damage.empty() && !unknown_type && unreadable.empty(); }
};

class Ring {
  public:
    // REQUIRES: the ring lies on the device.
    Ring(const device::Device &device, std::uint64_t start_block, std::uint64_t block_count,
         const HashKey &epoch)
        : device_(device), start_(start_block * block_size), bytes_(block_count * block_size),
          epoch_(epoch) {}

    std::uint64_t bytes() const { return bytes_; }
    Walk walk(std::uint64_t tail);

    // What the records say that verify by themselves behind the stop of a walk from `tail`.
    std::vector<Patch> patches_beyond(const Walk &walk, std::uint64_t tail) const;

    // REQUIRES: seat + out.size() <= bytes().
    Result<void> read(std::uint64_t seat, std::span<std::byte> out) const;

  private:
    enum class Verdict { record, none, unreadable };

    std::uint64_t next_lap(std::uint64_t sequence) const {
        return (sequence / bytes_ + 1) * bytes_;
    }

    Verdict verify(std::uint64_t sequence, format::RecordHeader &header) const;
    Verdict verify_after(std::uint64_t sequence, std::uint64_t previous_end,
                         format::RecordHeader &header) const;
    bool header_holds(const format::RecordHeader &header, std::uint64_t sequence) const;
    Verdict verify_payload(std::uint64_t seat, const format::RecordHeader &header) const;
    Verdict next(Walk &walk, format::RecordHeader &header) const;
    void collect_patches(Walk &walk, const format::RecordHeader &header) const;
    void look_beyond(Walk &walk, std::uint64_t tail) const;
    void look_at_window(Walk &walk, std::uint64_t from, std::span<const std::byte> window) const;

    const device::Device &device_;
    std::uint64_t start_;
    std::uint64_t bytes_;
    HashKey epoch_;
};

} // namespace daxpin::reader
