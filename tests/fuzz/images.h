// SPDX-License-Identifier: BSD-3-Clause
//
// Images: small volumes to be damaged, and where their metadata stands.
//
// `pieces` is every byte of live metadata (labels, superblocks, tail cells, records, tree nodes,
// bitmaps, blobs), so that a mutation always hits something that is read.
#pragma once

#include "format/layout.h"
#include "support/sim_device.h"

#include <vector>

namespace daxpin::fuzz {

using MediaList = std::vector<std::shared_ptr<test::SimMedia>>;

struct Piece {
    unsigned device;
    std::uint64_t offset; // on the device
    std::uint64_t length;
};

struct Image {
    MediaList media;
    format::Superblock superblock;
    std::vector<Piece> pieces;
    std::vector<std::uint64_t> units; // blocks of device 0 with a checksum of their own
    struct Record {
        std::uint64_t offset; // on device 0
        std::uint32_t length;
        std::uint64_t sequence;
    };
    std::vector<Record> records; // from the tail on

    MediaList clone() const;
    std::uint64_t piece_bytes() const;
    // The place of byte `n` of all pieces, one behind the other, and how many follow in its piece.
    Piece locate(std::uint64_t n) const;
};

// A file of every kind and what belongs to it; 0 clean, 1 with records to be replayed, 2 with
// records that cross the end of the ring, 3 with unfinished work, 4 of two devices.
const std::vector<Image> &images();

// Makes every checksum right again that a changed byte may have spoilt: labels, superblocks, tail
// cells, records under the epoch that rules, and the units as they are after replay.
void mend(const Image &image, const MediaList &media);

// Seals the records from the first on: payload and header.
void seal_records(const Image &image, const MediaList &media);

} // namespace daxpin::fuzz
