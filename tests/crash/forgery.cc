// SPDX-License-Identifier: BSD-3-Clause
#include "crash/forgery.h"

#include "crash/rules.h"
#include "device/label.h"
#include "journal/ring.h"

#include <algorithm>
#include <cstring>

namespace daxpin::crash {

namespace {

using format::RecordEntry;
using format::RecordHeader;

constexpr std::uint64_t marker_version = 77;
// A header and one entry, without words of zero beside each other: those that the carrier finds
// on media already would not be in its record.
constexpr std::size_t forged_bytes = 2 * format::record_align;

// A record that would destroy the tree's root.
Bytes forged_record(const format::Superblock &superblock, journal::Sequence sequence,
                    const HashKey &epoch) {
    Bytes record(forged_bytes, std::byte{0xff});
    RecordEntry entry{};
    entry.block = superblock.root.get();
    entry.offset = 64;
    entry.length = static_cast<std::uint16_t>(forged_bytes - sizeof(RecordHeader) - sizeof entry);
    std::memcpy(record.data() + sizeof(RecordHeader), &entry, sizeof entry);
    journal::seal_payload(record, 1);
    journal::seal_record(record, sequence, sequence, epoch);
    return record;
}

format::Superblock superblock_of(const MediaList &media) {
    const auto superblock = device::read_superblock(*media[0]->open());
    if (!superblock)
        throw Problem{"superblock: " + daxpin::describe(superblock.error())};
    return *superblock;
}

RingContent ring_of(const MediaList &media, const format::Superblock &superblock) {
    const auto ring = read_ring(std::as_const(*media[0]).bytes(), superblock);
    if (!ring)
        throw Problem{"a mounted volume without a tail cell"};
    return *ring;
}

// Where in the journal the operation's bytes will stand: tried with other bytes, on other media.
// Nowhere if a leaf has to be split for them: then they go home at once.
std::optional<journal::Sequence> place_of(const MediaList &media, Operation operation,
                                          const format::Superblock &superblock) {
    MediaList copies;
    for (const auto &one : media)
        copies.push_back(one->clone());
    operation.bytes = content(marker_version, 0, operation.length);
    test::TestEnv env;
    auto volume = volume::Volume::open(test::open_table(copies), env, mount_options());
    if (!volume || !Executor(**volume).run(operation))
        throw Problem{"trying a forgery"};
    const RingContent ring = ring_of(copies, superblock);
    const auto bytes =
        std::as_const(*copies[0])
            .bytes()
            .subspan(superblock.ring_start * block_size, superblock.ring_blocks * block_size);
    const auto found =
        std::search(bytes.begin(), bytes.end(), operation.bytes.begin(), operation.bytes.end());
    if (ring.records.empty() || found == bytes.end())
        return {};
    const auto seat = static_cast<std::uint64_t>(found - bytes.begin());
    const journal::Sequence record = ring.records.back().sequence;
    return record + (seat - record % bytes.size());
}

Bytes forge_in_ring(const MediaList &media, const Operation &operation, std::uint64_t laps) {
    const auto superblock = superblock_of(media);
    const auto place = place_of(media, operation, superblock);
    if (!place)
        return {};
    const journal::Sequence begin = *place;
    Bytes bytes = content(marker_version, 0, operation.length);
    journal::Sequence at =
        (begin + format::record_align - 1) / format::record_align * format::record_align;
    for (; at + forged_bytes <= begin + bytes.size(); at += forged_bytes) {
        const auto record =
            forged_record(superblock, at + laps * superblock.ring_blocks * block_size, HashKey{});
        std::ranges::copy(record, bytes.begin() + static_cast<std::ptrdiff_t>(at - begin));
    }
    return bytes;
}

Bytes forge_outside(const MediaList &media, const Operation &operation) {
    const auto superblock = superblock_of(media);
    const RingContent ring = ring_of(media, superblock);
    format::TailCell cell;
    std::memcpy(&cell,
                std::as_const(*media[0]).bytes().data() + superblock.tail_cell_a * block_size,
                sizeof cell);
    HashKey epoch;
    std::memcpy(epoch.data(), cell.epoch, epoch.size());
    const auto record = forged_record(
        superblock, ring.records.empty() ? ring.tail : ring.records.back().end, epoch);
    Bytes bytes;
    while (bytes.size() < operation.length)
        bytes.insert(bytes.end(), record.begin(), record.end());
    bytes.resize(operation.length);
    return bytes;
}

} // namespace

Bytes forge(const MediaList &media, const Operation &operation) {
    switch (static_cast<Forgery>(operation.forgery)) {
    case Forgery::this_lap:
        return forge_in_ring(media, operation, 0);
    case Forgery::next_lap:
        return forge_in_ring(media, operation, 1);
    case Forgery::true_epoch:
        return forge_outside(media, operation);
    case Forgery::none:
        break;
    }
    return {};
}

} // namespace daxpin::crash
