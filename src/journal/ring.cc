// SPDX-License-Identifier: BSD-3-Clause
#include "journal/ring.h"

#include "base/assert.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

namespace daxpin::journal {

namespace {

using format::RecordEntry;
using format::RecordHeader;

constexpr std::size_t header_hashed_bytes = offsetof(RecordHeader, checksum);

std::uint64_t header_checksum(const RecordHeader &header, const HashKey &epoch) {
    return keyed_hash(epoch, std::as_bytes(std::span(&header, 1)).first(header_hashed_bytes));
}

} // namespace

std::optional<RecordHeader> Ring::header_in(std::span<const std::byte> bytes,
                                            Sequence position) const {
    RecordHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    // The cheap tests first: a scan asks this of every seat.
    if (header.magic != format::record_magic || header.sequence != position ||
        header.length < sizeof header || header.length % format::record_align != 0 ||
        header.length > geometry_.record_bytes_max() ||
        seat(position) + header.length > geometry_.ring_bytes() ||
        header.checksum != header_checksum(header, epoch_))
        return {};
    return header;
}

Result<std::optional<Ring::Record>> Ring::record_at(Sequence position, Sequence previous_end,
                                                    RingWindow &window) const {
    DAXPIN_TRY_ASSIGN(const auto begin, window.bytes(position, sizeof(RecordHeader)));
    const auto header = header_in(begin, position);
    if (!header || header->previous_end != previous_end)
        return std::optional<Record>{};
    DAXPIN_TRY_ASSIGN(const auto bytes, window.bytes(position, header->length));
    if (crc32c(bytes.subspan(sizeof *header)) != header->payload_crc)
        return std::optional<Record>{};
    if (header->type != format::record_outcome)
        return Error{Errc::unsupported, "the journal holds a record of unknown type " +
                                            std::to_string(header->type) +
                                            ": use a newer daxpinfs"};
    return std::optional(Record{position, bytes});
}

Result<std::optional<Ring::Record>> Ring::record_after(Sequence end, RingWindow &window) const {
    DAXPIN_TRY_ASSIGN(const auto record, record_at(end, end, window));
    if (record || seat(end) == 0)
        return record;
    // The writer may have skipped the ring's last bytes.
    return record_at(next_lap(end), end, window);
}

Result<bool> Ring::any_header_beyond(Sequence stop, Sequence to) const {
    std::array<std::byte, block_size> buffer;
    for (auto position = stop; position < to;) {
        const std::uint64_t within = seat(position) % block_size;
        const auto window =
            std::span(buffer).first(std::min<std::uint64_t>(block_size - within, to - position));
        DAXPIN_TRY(devices_.read(block_of(position), within, window));
        for (std::size_t i = 0; i < window.size(); i += format::record_align) {
            const auto header = header_in(window.subspan(i), position + i);
            // The newest record may be torn behind a whole header.
            const bool torn_newest = header && header->previous_end == stop &&
                                     (position + i == stop || position + i == next_lap(stop));
            if (header && !torn_newest)
                return true;
        }
        position += window.size();
    }
    return false;
}

void seal_payload(std::span<std::byte> record, std::uint32_t entry_count) {
    DAXPIN_ASSERT(record.size() % format::record_align == 0 && entry_count > 0);
    RecordHeader header{};
    header.magic = format::record_magic;
    header.length = static_cast<std::uint32_t>(record.size());
    header.type = format::record_outcome;
    header.entry_count = entry_count;
    header.payload_crc = crc32c(record.subspan(sizeof header));
    std::memcpy(record.data(), &header, sizeof header);
}

void seal_record(std::span<std::byte> record, Sequence sequence, Sequence previous_end,
                 const HashKey &epoch) {
    RecordHeader header;
    std::memcpy(&header, record.data(), sizeof header);
    header.sequence = sequence;
    header.previous_end = previous_end;
    header.checksum = header_checksum(header, epoch);
    std::memcpy(record.data(), &header, sizeof header);
}

Result<std::span<const std::byte>> RingWindow::bytes(Sequence position, std::size_t length) {
    if (position < begin_ || position + length > begin_ + bytes_.size())
        DAXPIN_TRY(move_to(position, length));
    return std::span<const std::byte>(bytes_).subspan(position - begin_, length);
}

Result<void> RingWindow::move_to(Sequence position, std::size_t length) {
    constexpr std::uint64_t piece = 256 << 10; // the cache next to a processor holds it
    const Sequence stop = std::min(end_, ring_.next_lap(position));
    begin_ = position;
    if (position >= one_by_one_until_ && position + length < stop) {
        bytes_.resize(std::max<std::size_t>(length, std::min(piece, stop - position)));
        if (ring_.read(position, bytes_))
            return {};
        one_by_one_until_ = position + bytes_.size();
    }
    bytes_.resize(length);
    auto done = ring_.read(position, bytes_);
    if (!done)
        bytes_.clear();
    return done;
}

Error impossible_entry() {
    return {Errc::corrupt, "a journal record has an impossible entry"};
}

} // namespace daxpin::journal
