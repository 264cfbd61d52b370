// SPDX-License-Identifier: BSD-3-Clause
#include "crash/rules.h"

#include "base/checksum.h"

#include <cstddef>
#include <cstring>

namespace daxpin::crash {

namespace {

using format::RecordEntry;
using format::RecordHeader;
using format::TailCell;

template <typename T> T load(std::span<const std::byte> bytes, std::uint64_t offset) {
    T object;
    std::memcpy(&object, bytes.data() + offset, sizeof object);
    return object;
}

std::optional<TailCell> valid_cell(std::span<const std::byte> image, std::uint64_t block) {
    const auto cell = load<TailCell>(image, block * block_size);
    const auto hashed = std::as_bytes(std::span(&cell, 1)).first(offsetof(TailCell, crc));
    if (cell.magic != format::tail_cell_magic || cell.crc != crc32c(hashed))
        return {};
    return cell;
}

std::optional<TailCell> ruling_cell(std::span<const std::byte> image,
                                    const format::Superblock &superblock) {
    const auto a = valid_cell(image, superblock.tail_cell_a);
    const auto b = valid_cell(image, superblock.tail_cell_b);
    if (!a || !b)
        return a ? a : b;
    return a->counter >= b->counter ? a : b;
}

class RingReader {
  public:
    RingReader(std::span<const std::byte> image, const format::Superblock &superblock,
               const TailCell &cell)
        : ring_(image.subspan(superblock.ring_start * block_size,
                              superblock.ring_blocks * block_size)) {
        std::memcpy(epoch_.data(), cell.epoch, epoch_.size());
    }

    // The record after one that ended at `end`, at that place or at the next lap's start.
    std::optional<RingRecord> after(std::uint64_t end) const {
        auto record = at(end, end);
        const std::uint64_t size = ring_.size();
        return record || end % size == 0 ? record : at((end / size + 1) * size, end);
    }

  private:
    std::optional<RingRecord> at(std::uint64_t position, std::uint64_t previous_end) const {
        const std::uint64_t seat = position % ring_.size();
        const auto header = load<RecordHeader>(ring_, seat);
        if (header.magic != format::record_magic || header.sequence != position ||
            header.length < sizeof header || header.length > ring_.size() - seat ||
            header.previous_end != previous_end)
            return {};
        const auto hashed =
            std::as_bytes(std::span(&header, 1)).first(offsetof(RecordHeader, checksum));
        const auto payload = ring_.subspan(seat + sizeof header, header.length - sizeof header);
        if (header.checksum != keyed_hash(epoch_, hashed) || header.payload_crc != crc32c(payload))
            return {};
        RingRecord record{position, position + header.length, {}};
        std::uint64_t next = 0;
        for (std::uint32_t i = 0; i < header.entry_count; ++i) {
            const auto entry = load<RecordEntry>(payload, next);
            record.outcomes.push_back({entry.block * block_size + entry.offset, entry.length});
            next += sizeof entry + (entry.length + 7U) / 8 * 8;
        }
        return record;
    }

    std::span<const std::byte> ring_;
    HashKey epoch_{};
};

// Tells which bytes of device 0 some record names.
class NamedBytes {
  public:
    // By records that end in (from, to].
    NamedBytes(const std::vector<RingRecord> &records, std::uint64_t from, std::uint64_t to) {
        for (const RingRecord &record : records) {
            if (record.end <= from || record.end > to)
                continue;
            for (const auto &outcome : record.outcomes) {
                for (std::uint64_t i = 0; i < outcome.length; ++i)
                    bytes_.insert(outcome.offset + i);
            }
        }
    }
    bool contains(std::uint64_t offset) const { return bytes_.contains(offset); }

  private:
    std::set<std::uint64_t> bytes_;
};

std::string where(unsigned device, std::uint64_t offset) {
    return "device " + std::to_string(device) + " block " + std::to_string(offset / block_size) +
           " byte " + std::to_string(offset % block_size);
}

// The first undecided byte for which `wrong` holds, as text.
template <typename Wrong>
std::string find_undecided(const std::vector<test::PersistenceModel> &models, const Wrong &wrong) {
    for (unsigned device = 0; device < models.size(); ++device) {
        for (const std::uint64_t unit : models[device].undecided()) {
            const auto dirty = models[device].undecided_bytes(unit);
            for (std::uint64_t i = 0; i < models[device].unit_bytes(); ++i) {
                if (dirty.test(i) && wrong(device, unit + i))
                    return where(device, unit + i);
            }
        }
    }
    return {};
}

} // namespace

std::optional<RingContent> read_ring(std::span<const std::byte> image,
                                     const format::Superblock &superblock) {
    const auto cell = ruling_cell(image, superblock);
    if (!cell)
        return {};
    RingContent content{cell->tail, {}};
    const RingReader reader(image, superblock, *cell);
    const std::uint64_t size = superblock.ring_blocks * block_size;
    for (std::uint64_t end = content.tail; end < content.tail + size;) {
        auto record = reader.after(end);
        if (!record || record->end > content.tail + size)
            break;
        end = record->end;
        content.records.push_back(std::move(*record));
    }
    return content;
}

std::string check_acknowledged(const std::vector<test::PersistenceModel> &models,
                               const format::Superblock &superblock) {
    const auto ring = read_ring(models[0].durable(), superblock);
    if (!ring)
        return "no durable tail cell at an acknowledgement";
    const NamedBytes named(ring->records, ring->tail, ~std::uint64_t{0});
    const std::string unnamed = find_undecided(models, [&](unsigned device, std::uint64_t offset) {
        return device != 0 || !named.contains(offset);
    });
    if (!unnamed.empty())
        return "not durable at the acknowledgement and named by no record: " + unnamed;
    return {};
}

std::string check_tail_store(const std::vector<test::PersistenceModel> &models,
                             const format::Superblock &superblock, std::uint64_t offset,
                             std::span<const std::byte> in) {
    const std::uint64_t block = offset / block_size;
    if (block != superblock.tail_cell_a && block != superblock.tail_cell_b)
        return {};
    const auto ring = read_ring(models[0].durable(), superblock);
    if (!ring || in.size() < sizeof(TailCell))
        return {};
    const auto cell = load<TailCell>(in, 0);
    const NamedBytes passed(ring->records, 0, cell.tail);
    const NamedBytes kept(ring->records, cell.tail, ~std::uint64_t{0});
    const std::string lost = find_undecided(models, [&](unsigned device, std::uint64_t byte) {
        return device == 0 && passed.contains(byte) && !kept.contains(byte);
    });
    if (!lost.empty())
        return "the tail passes a home that is not durable: " + lost;
    return {};
}

} // namespace daxpin::crash
