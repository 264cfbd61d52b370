// SPDX-License-Identifier: BSD-3-Clause
//
// A superblock with a right checksum and impossible regions was believed, and the daemon read
// beyond its device. A record that would leave a wrong checksum in a free block kept the volume
// from being mounted, and fsck found nothing. Both found by scripts/fuzz image-mended.
#include "file_helpers.h"

#include "base/checksum.h"
#include "device/label.h"
#include "journal/journal.h"
#include "journal/transaction.h"
#include "tools/fsck/check.h"

using namespace daxpin;
using namespace daxpin::test;

namespace {

using Change = std::function<void(format::Superblock &)>;

std::shared_ptr<SimMedia> media_with(const Change &change) {
    VolumeFixture fixture;
    fixture.unmount();
    auto media = fixture.all_media()[0];
    const auto bytes = media->bytes();
    for (const std::uint64_t block : {std::uint64_t{0}, bytes.size() / block_size - 1}) {
        auto *at = bytes.data() + block * block_size + format::superblock_offset;
        format::Superblock superblock;
        std::memcpy(&superblock, at, sizeof superblock);
        change(superblock);
        superblock.crc = 0;
        superblock.crc = crc32c(std::as_bytes(std::span(&superblock, 1)));
        std::memcpy(at, &superblock, sizeof superblock);
    }
    return media;
}

} // namespace

TEST_CASE("superblock: regions that cannot be are refused, not followed", "[regress]") {
    const Change changes[] = {
        [](auto &superblock) { superblock.ring_blocks = std::uint64_t{1} << 40; },
        [](auto &superblock) { superblock.ring_blocks = 1; },
        [](auto &superblock) { superblock.ring_start = 1; }, // over a tail cell
        [](auto &superblock) { superblock.tail_cell_a = ~std::uint64_t{0}; },
        [](auto &superblock) { superblock.root = 1023; }, // the second label
        [](auto &superblock) { superblock.devices[0].bitmap_start = 1 << 30; },
        [](auto &superblock) { superblock.devices[0].group_count = 2; },
        [](auto &superblock) { superblock.devices[0].block_count = 1; },
    };
    for (const Change &change : changes) {
        const auto media = media_with(change);
        TestEnv env;
        CHECK(fails(volume::Volume::open(open_table({media}), env, {}), Errc::corrupt));
        CHECK_FALSE(fsck::check(open_table({media})).clean());
    }
}

TEST_CASE("fsck: a record that spoils a free block is an error", "[regress]") {
    VolumeFixture fixture;
    fixture.unmount();
    const auto media = fixture.all_media()[0];
    TestEnv env;
    auto devices = open_table({media});
    const auto superblock = must(device::read_superblock(devices.metadata()));
    auto journal = must(journal::Journal::open(devices, journal::geometry_of(superblock), env,
                                               journal::Writing::everything));
    std::vector<std::byte> record(128);
    format::RecordEntry entry{};
    entry.block = 500; // free
    entry.length = 8;
    std::memcpy(record.data() + sizeof(format::RecordHeader), &entry, sizeof entry);
    record[100] = std::byte{0x5a};
    media->bytes()[500 * block_size + 99] = std::byte{1};
    must(journal->reserve(record.size()));
    must(journal->append(record, 1));
    journal.reset();
    CHECK(fails(volume::Volume::open(open_table({media}), env, {}), Errc::corrupt));
    CHECK_FALSE(fsck::check(open_table({media})).clean());
}
