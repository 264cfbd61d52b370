// SPDX-License-Identifier: BSD-3-Clause
#include "tools/reader/ring.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace daxpin::reader {
namespace {

using format::RecordEntry;
using format::RecordHeader;

constexpr std::size_t window_bytes = 64 * 1024;

std::string at_position(const char *what, std::uint64_t sequence) {
    return std::string(what) + " at position " + std::to_string(sequence);
}

} // namespace

Result<void> Ring::read(std::uint64_t seat, std::span<std::byte> out) const {
    return device_.read(start_ + seat, out);
}

bool Ring::header_holds(const RecordHeader &header, std::uint64_t sequence) const {
    // The cheap tests first, the keyed hash last: the scan asks this of every seat.
    if (header.magic != format::record_magic || header.sequence != sequence ||
        header.length < sizeof header || header.length % format::record_align != 0 ||
        header.length > bytes_ / 8 || sequence % bytes_ + header.length > bytes_)
        return false;
    const auto covered =
        std::as_bytes(std::span(&header, 1)).first(offsetof(RecordHeader, checksum));
    return keyed_hash(epoch_, covered) == header.checksum;
}

Ring::Verdict Ring::verify_payload(std::uint64_t seat, const RecordHeader &header) const {
    std::array<std::byte, block_size> buffer;
    std::uint32_t crc = 0;
    std::uint64_t at = seat + sizeof header;
    for (std::uint64_t left = header.length - sizeof header; left > 0;) {
        const auto part = std::span(buffer).first(std::min<std::uint64_t>(left, buffer.size()));
        if (!read(at, part))
            return Verdict::unreadable;
        crc = crc32c(part, crc);
        at += part.size();
        left -= part.size();
    }
    return crc == header.payload_crc ? Verdict::record : Verdict::none;
}

Ring::Verdict Ring::verify(std::uint64_t sequence, RecordHeader &header) const {
    const std::uint64_t seat = sequence % bytes_;
    if (!read(seat, std::as_writable_bytes(std::span(&header, 1))))
        return Verdict::unreadable;
    if (!header_holds(header, sequence))
        return Verdict::none;
    return verify_payload(seat, header);
}

Ring::Verdict Ring::verify_after(std::uint64_t sequence, std::uint64_t previous_end,
                                 RecordHeader &header) const {
    const auto verdict = verify(sequence, header);
    return verdict == Verdict::record && header.previous_end != previous_end ? Verdict::none
                                                                             : verdict;
}

// The record behind walk.stop: there, or at the start of the next lap if the writer skipped the
// ring's last bytes because the record did not fit into them.
Ring::Verdict Ring::next(Walk &walk, RecordHeader &header) const {
    const auto here = verify_after(walk.stop, walk.stop, header);
    if (here != Verdict::none || walk.stop % bytes_ == 0)
        return here;
    return verify_after(next_lap(walk.stop), walk.stop, header);
}

Walk Ring::walk(std::uint64_t tail) {
    Walk walk;
    walk.stop = tail;
    RecordHeader header;
    while (walk.stop < tail + bytes_) {
        const auto verdict = next(walk, header);
        if (verdict == Verdict::unreadable)
            walk.damage.push_back(at_position("cannot read the journal", walk.stop));
        if (verdict != Verdict::record || header.sequence + header.length > tail + bytes_)
            break;
        if (header.type != format::record_outcome) {
            walk.unknown_type = header.type;
            return walk;
        }
        walk.records.push_back({header.sequence, header.length, header.entry_count});
        walk.stop = header.sequence + header.length;
        collect_patches(walk, header);
    }
    look_beyond(walk, tail);
    return walk;
}

void Ring::collect_patches(Walk &walk, const RecordHeader &header) const {
    const std::uint64_t seat = header.sequence % bytes_;
    const std::uint64_t end = seat + header.length;
    std::uint64_t at = seat + sizeof header;
    if (header.entry_count == 0)
        walk.damage.push_back(at_position("empty record", header.sequence));
    for (std::uint32_t i = 0; i < header.entry_count; ++i) {
        RecordEntry entry{};
        const bool read_well =
            end - at >= sizeof entry && read(at, std::as_writable_bytes(std::span(&entry, 1)));
        at += sizeof entry;
        const std::uint64_t padded = (std::uint64_t{entry.length} + 7) / 8 * 8;
        if (!read_well || entry.length == 0 || entry.offset + entry.length > block_size ||
            padded > end - at) {
            walk.damage.push_back(at_position("impossible entry in the record", header.sequence));
            return;
        }
        walk.patches.push_back({entry.block, at, entry.offset, entry.length});
        at += padded;
    }
}

std::vector<Patch> Ring::patches_beyond(const Walk &walk, std::uint64_t tail) const {
    Walk beyond;
    RecordHeader header;
    for (std::uint64_t at = walk.stop; at < tail + bytes_; at += format::record_align)
        if (verify(at, header) == Verdict::record && header.type == format::record_outcome)
            collect_patches(beyond, header);
    return std::move(beyond.patches);
}

// A record is durable before the next one begins, so nothing may verify beyond the stop.
void Ring::look_beyond(Walk &walk, std::uint64_t tail) const {
    std::vector<std::byte> buffer(std::min<std::uint64_t>(window_bytes, bytes_));
    const std::uint64_t end = tail + bytes_;
    for (std::uint64_t from = walk.stop; from < end;) {
        const std::uint64_t seat = from % bytes_;
        const auto window =
            std::span(buffer).first(std::min({buffer.size(), bytes_ - seat, end - from}));
        if (read(seat, window)) {
            look_at_window(walk, from, window);
        } else {
            walk.unreadable.push_back(at_position("cannot read the journal", from));
        }
        from += window.size();
    }
}

void Ring::look_at_window(Walk &walk, std::uint64_t from, std::span<const std::byte> window) const {
    for (std::size_t i = 0; i + sizeof(RecordHeader) <= window.size(); i += format::record_align) {
        const std::uint64_t sequence = from + i;
        RecordHeader header;
        std::memcpy(&header, window.data() + i, sizeof header);
        if (!header_holds(header, sequence))
            continue;
        // The newest record may be torn behind a whole header.
        if (header.previous_end == walk.stop &&
            (sequence == walk.stop || sequence == next_lap(walk.stop)))
            continue;
        walk.damage.push_back(at_position("a record was lost", walk.stop) +
                              at_position(": another one stands beyond it,", sequence));
        return;
    }
}

} // namespace daxpin::reader
