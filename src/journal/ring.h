// SPDX-License-Identifier: BSD-3-Clause
//
// Ring: reads records by their position. Trusts nothing it reads.
//
// Layout and rules: docs/format.md, "Journal".
#pragma once

#include "base/checksum.h"
#include "journal/journal.h"

#include <cstring>
#include <optional>
#include <span>
#include <vector>

namespace daxpin::journal {

class RingWindow;

class Ring {
  public:
    Ring(const device::DeviceTable &devices, const Geometry &geometry, const HashKey &epoch)
        : devices_(devices), geometry_(geometry), epoch_(epoch) {}

    MediaBlock block_of(Sequence position) const {
        return MediaBlock::at(0, geometry_.ring_start + seat(position) / block_size);
    }
    std::uint64_t seat(Sequence position) const { return position % geometry_.ring_bytes(); }
    Sequence next_lap(Sequence position) const {
        return (position / geometry_.ring_bytes() + 1) * geometry_.ring_bytes();
    }
    // Where a record of `length` bytes goes if the ring has been written up to `head`.
    Sequence place(Sequence head, std::uint64_t length) const {
        return seat(head) + length <= geometry_.ring_bytes() ? head : next_lap(head);
    }

    // Copies out what stands from `position` on. REQUIRES: it does not cross the end of the ring.
    // ERRORS: io.
    Result<void> read(Sequence position, std::span<std::byte> out) const {
        return devices_.read(block_of(position), seat(position) % block_size, out);
    }
    // Says that it will be read soon.
    void prefetch(Sequence position, std::size_t length) const {
        devices_.prefetch(block_of(position), seat(position) % block_size, length);
    }

    // The record that follows one that ended at `end`: whole, or nothing if none verifies.
    struct Record {
        Sequence position;
        std::span<const std::byte> bytes; // header and payload; until `window` is used again
        Sequence end() const { return position + bytes.size(); }
    };
    Result<std::optional<Record>> record_after(Sequence end, RingWindow &window) const;

    // True if a header that counts stands somewhere in [stop, to), other than that of a torn
    // record which would follow one that ended at `stop`.
    Result<bool> any_header_beyond(Sequence stop, Sequence to) const;

  private:
    std::optional<format::RecordHeader> header_in(std::span<const std::byte> bytes,
                                                  Sequence position) const;
    Result<std::optional<Record>> record_at(Sequence position, Sequence previous_end,
                                            RingWindow &window) const;

    const device::DeviceTable &devices_;
    const Geometry &geometry_;
    const HashKey &epoch_;
};

// A copy in DRAM of the piece of the ring that is being walked along: records are short, and each
// read of the medium costs a wait.
class RingWindow {
  public:
    // Never reads ahead past `end`.
    RingWindow(const Ring &ring, Sequence end) : ring_(ring), end_(end) {}

    // What stands from `position` on; until the next call. REQUIRES: as Ring::read(). ERRORS: io.
    Result<std::span<const std::byte>> bytes(Sequence position, std::size_t length);

  private:
    Result<void> move_to(Sequence position, std::size_t length);

    const Ring &ring_;
    const Sequence end_;
    Sequence begin_ = 0;
    std::vector<std::byte> bytes_;  // from begin_ on
    Sequence one_by_one_until_ = 0; // something in the piece before cannot be read
};

// Fills in the header of a record in DRAM: first what does not depend on where it will stand, with
// the checksum of the payload, then the rest.
void seal_payload(std::span<std::byte> record, std::uint32_t entry_count);
void seal_record(std::span<std::byte> record, Sequence sequence, Sequence previous_end,
                 const HashKey &epoch);

// Bytes of a unit as an entry of a record has them.
struct Outcome {
    MediaBlock unit;
    std::size_t offset; // offset + bytes.size() <= 4096
    std::span<const std::byte> bytes;
};

// Takes the first entry off `entries`; nothing if it is impossible.
inline std::optional<Outcome> take_outcome(std::span<const std::byte> &entries) {
    format::RecordEntry entry;
    if (entries.size() < sizeof entry)
        return {};
    std::memcpy(&entry, entries.data(), sizeof entry);
    const std::size_t offset = entry.offset, length = entry.length;
    const std::size_t padded = sizeof entry + (length + 7) / 8 * 8;
    if (length == 0 || offset + length > block_size || padded > entries.size())
        return {};
    const auto bytes = entries.subspan(sizeof entry, length);
    entries = entries.subspan(padded);
    return Outcome{MediaBlock{entry.block}, offset, bytes};
}
Error impossible_entry();

// Calls visit(const Outcome &, std::size_t within, std::size_t bytes) for each outcome of a record
// that verified; its entry takes `bytes` bytes from `within` on.
// ERRORS: corrupt if an entry is impossible; those of visit.
template <typename Visit>
Result<void> for_each_outcome(std::span<const std::byte> record, Visit visit) {
    format::RecordHeader header;
    std::memcpy(&header, record.data(), sizeof header);
    if (header.entry_count == 0)
        return Error{Errc::corrupt, "a journal record is empty"};
    auto rest = record.subspan(sizeof header);
    for (std::uint32_t i = 0; i < header.entry_count; ++i) {
        const std::size_t within = record.size() - rest.size();
        const auto outcome = take_outcome(rest);
        if (!outcome)
            return impossible_entry();
        DAXPIN_TRY(visit(*outcome, within, record.size() - rest.size() - within));
    }
    return {};
}

} // namespace daxpin::journal
