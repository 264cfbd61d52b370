// SPDX-License-Identifier: BSD-3-Clause
//
// The ring alone: what recovery makes of records, headers and tail cells that somebody wrote who
// knows the epoch. The engine's recovery and fsck's own replay must agree, on whether there is
// anything to be replayed at all and on every byte of what is replayed.
//
// Input: which image, then changes of 16 bytes.
#include "base/checksum.h"
#include "fuzz/images.h"
#include "fuzz/input.h"
#include "fuzz/mutate.h"
#include "journal/journal.h"
#include "support/test_env.h"
#include "tools/fsck/check.h"
#include "tools/reader/view.h"

#include <cstddef>

namespace {

using namespace daxpin;
using namespace daxpin::fuzz;

enum class What : std::uint8_t {
    header_field, // of a record
    entry_field,  // of the record's first entry
    byte,         // anywhere in a record
    move,         // a whole record to another seat
    forge,        // a record of one entry behind another record
    tear,         // zeros up to the record's end
    cell,         // a word of a tail cell
    count
};

struct Change {
    std::uint8_t what;
    std::uint8_t record;
    std::uint8_t field;
    std::uint8_t seal; // 1: payload's checksum is mended, 2: header's
    std::uint32_t place;
    std::uint64_t value;
};
static_assert(sizeof(Change) == 16);

class Ring {
  public:
    Ring(const Image &image, const MediaList &media)
        : image_(image), bytes_(media[0]->bytes()),
          start_(image.superblock.ring_start * block_size),
          length_(image.superblock.ring_blocks * block_size) {
        format::TailCell cell;
        std::memcpy(&cell, bytes_.data() + image.superblock.tail_cell_a * block_size, sizeof cell);
        std::memcpy(epoch_.data(), cell.epoch, sizeof cell.epoch);
    }

    void apply(const Change &change) {
        const auto what = static_cast<What>(change.what % static_cast<unsigned>(What::count));
        if (what == What::cell)
            return change_cell(change);
        if (image_.records.empty())
            return;
        const auto &record = image_.records[change.record % image_.records.size()];
        switch (what) {
        case What::header_field:
            put(record.offset + change.field % 8 * 8, change.value);
            return seal(record.offset, change.seal);
        case What::entry_field:
            put(record.offset + sizeof(format::RecordHeader) + change.field % 4 * 4, change.value);
            return seal(record.offset, change.seal);
        case What::byte:
            bytes_[record.offset + change.place % record.length] ^= std::byte{1}
                                                                    << change.field % 8;
            return seal(record.offset, change.seal);
        case What::move:
            return move(record, change);
        case What::forge:
            return forge(record, change);
        default:
            return tear(record, change);
        }
    }

  private:
    void put(std::uint64_t offset, std::uint64_t value) {
        std::memcpy(bytes_.data() + offset, &value, sizeof value);
    }

    void seal(std::uint64_t offset, std::uint8_t how) {
        format::RecordHeader header;
        std::memcpy(&header, bytes_.data() + offset, sizeof header);
        const std::uint64_t left = start_ + length_ - offset;
        if ((how & 1) != 0 && header.length >= sizeof header && header.length <= left)
            header.payload_crc =
                crc32c(bytes_.subspan(offset, header.length).subspan(sizeof header));
        if ((how & 2) != 0)
            header.checksum =
                keyed_hash(epoch_, std::as_bytes(std::span(&header, 1))
                                       .first(offsetof(format::RecordHeader, checksum)));
        std::memcpy(bytes_.data() + offset, &header, sizeof header);
    }

    // Where a sequence stands, as long as `length` bytes fit there.
    std::uint64_t seat(std::uint64_t sequence, std::uint64_t length) const {
        return start_ + std::min(sequence / 64 * 64 % length_, length_ - length);
    }

    void move(const Image::Record &record, const Change &change) {
        const std::uint64_t to = seat(change.place, record.length);
        std::memmove(bytes_.data() + to, bytes_.data() + record.offset, record.length);
        if ((change.field & 1) != 0) { // a sequence that is right there
            format::RecordHeader header;
            std::memcpy(&header, bytes_.data() + to, sizeof header);
            header.sequence =
                record.sequence - record.offset + to + ((change.field & 2) != 0 ? length_ : 0);
            if ((change.field & 4) != 0)
                header.previous_end = change.value;
            std::memcpy(bytes_.data() + to, &header, sizeof header);
        }
        seal(to, change.seal);
    }

    void forge(const Image::Record &record, const Change &change) {
        constexpr std::uint32_t length = 128;
        const std::uint64_t end = record.sequence + record.length;
        const bool skip = (change.field & 1) != 0;
        const std::uint64_t sequence = skip ? (end / length_ + 1) * length_ : end;
        const std::uint64_t at = seat(sequence, length);
        format::RecordHeader header{};
        header.magic = format::record_magic;
        header.length = length;
        header.sequence = sequence;
        header.type = format::record_outcome;
        header.entry_count = 1;
        header.previous_end = end;
        format::RecordEntry entry{};
        entry.block = change.place;
        entry.offset = static_cast<std::uint16_t>(change.value);
        entry.length = static_cast<std::uint16_t>(change.value >> 16);
        std::memcpy(bytes_.data() + at, &header, sizeof header);
        std::memcpy(bytes_.data() + at + sizeof header, &entry, sizeof entry);
        seal(at, 3);
    }

    void tear(const Image::Record &record, const Change &change) {
        const std::uint64_t from = change.place % record.length;
        std::fill_n(bytes_.begin() + static_cast<std::ptrdiff_t>(record.offset + from),
                    record.length - from, std::byte{0});
        seal(record.offset, change.seal);
    }

    void change_cell(const Change &change) {
        const auto &superblock = image_.superblock;
        const std::uint64_t at =
            ((change.record & 1) != 0 ? superblock.tail_cell_b : superblock.tail_cell_a) *
            block_size;
        put(at + change.field % 8 * 8, change.value);
        format::TailCell cell;
        std::memcpy(&cell, bytes_.data() + at, sizeof cell);
        if ((change.seal & 1) != 0)
            cell.crc =
                crc32c(std::as_bytes(std::span(&cell, 1)).first(offsetof(format::TailCell, crc)));
        std::memcpy(bytes_.data() + at, &cell, sizeof cell);
    }

    const Image &image_;
    std::span<std::byte> bytes_;
    const std::uint64_t start_; // byte of device 0
    const std::uint64_t length_;
    HashKey epoch_{};
};

// Replays by the engine. Nothing if it refuses.
std::optional<journal::RecoveryReport> recover(const Image &image, const MediaList &media) {
    auto devices = test::open_table(media);
    test::TestEnv env;
    const auto opened = journal::Journal::open(devices, journal::geometry_of(image.superblock), env,
                                               journal::Writing::everything);
    if (!opened)
        return std::nullopt;
    return (*opened)->report();
}

void compare(const Image &image, const MediaList &changed) {
    const auto before = fsck::check(test::open_table(changed));
    const MediaList recovered{changed[0]->clone()};
    const auto report = recover(image, recovered);
    if (!report) {
        if (before.clean())
            fail("recovery refuses what fsck finds sound");
        return;
    }
    const auto devices = test::open_table(changed);
    const reader::View view(devices, image.superblock, true);
    if (!view.walk().damage.empty())
        fail("recovery accepts what fsck calls damage: " + view.walk().damage.front());
    if (view.walk().records.size() != report->records_replayed)
        fail("recovery replays " + std::to_string(report->records_replayed) + " records, fsck " +
             std::to_string(view.walk().records.size()));
    const auto geometry = journal::geometry_of(image.superblock);
    for (std::uint64_t block = 0; block < geometry.block_count; ++block) {
        reader::UnitBytes unit;
        if (!geometry.may_be_unit(block) || !view.read(MediaBlock{block}, unit))
            continue;
        if (std::memcmp(unit.data(), recovered[0]->bytes().data() + block * block_size,
                        block_size) != 0)
            fail("recovery and fsck differ about block " + std::to_string(block));
    }
    const auto again = recover(image, recovered);
    if (!again || again->records_replayed != 0)
        fail("a second recovery finds something to do");
    if (before.clean() && !fsck::check(test::open_table(recovered)).clean())
        fail("sound before the recovery, not after");
}

} // namespace

DAXPIN_MUTATE_RECORDS(1, sizeof(Change));

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *bytes, std::size_t size) {
    Input input(bytes, size);
    const Image &image = images()[input.take<std::uint8_t>() % (images().size() - 1)];
    const MediaList media = image.clone();
    Ring ring(image, media);
    while (!input.empty())
        ring.apply(input.take<Change>());
    compare(image, media);
    return 0;
}
