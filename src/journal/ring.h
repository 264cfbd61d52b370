// SPDX-License-Identifier: BSD-3-Clause
//
// Ring: reads records by their position. Trusts nothing it reads.
//
// Layout and rules: docs/format.md, "Journal".
#pragma once

#include "base/checksum.h"
#include "journal/journal.h"

#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace daxpin::journal {

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

    // The header that counts at `position`, if there is one. ERRORS: io.
    Result<std::optional<format::RecordHeader>> header_at(Sequence position) const;

    // The record that follows one that ended at `end`: whole, or nothing if none verifies.
    struct Record {
        Sequence position;
        std::span<const std::byte> bytes; // header and payload; until `buffer` is used again
        Sequence end() const { return position + bytes.size(); }
    };
    Result<std::optional<Record>> record_after(Sequence end, std::vector<std::byte> &buffer) const;

    // True if a header that counts stands somewhere in (stop, to), other than that of a torn
    // record which would follow one that ended at `stop`.
    Result<bool> any_header_beyond(Sequence stop, Sequence to) const;

  private:
    std::optional<format::RecordHeader> header_in(std::span<const std::byte> bytes,
                                                  Sequence position) const;
    Result<std::optional<Record>> record_at(Sequence position, Sequence previous_end,
                                            std::vector<std::byte> &buffer) const;

    const device::DeviceTable &devices_;
    const Geometry &geometry_;
    const HashKey &epoch_;
};

// Seals a record in DRAM: fills its header in.
void seal_record(std::span<std::byte> record, std::uint32_t entry_count, Sequence sequence,
                 Sequence previous_end, const HashKey &epoch);

// Calls visit for each outcome of a record that verified.
// ERRORS: corrupt if an entry is impossible; whatever visit returns.
using OutcomeVisitor =
    std::function<Result<void>(MediaBlock, std::uint64_t offset, std::span<const std::byte>)>;
Result<void> for_each_outcome(std::span<const std::byte> record, const OutcomeVisitor &visit);

} // namespace daxpin::journal
