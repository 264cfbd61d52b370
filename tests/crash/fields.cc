// SPDX-License-Identifier: BSD-3-Clause
#include "crash/fields.h"

#include "base/assert.h"
#include "base/checksum.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <cstddef>
#include <cstring>

namespace daxpin::crash {

namespace {

using namespace format;

struct Field {
    const char *structure;
    const char *name;
    std::size_t offset;
    std::size_t size;
    bool is(const char *a, const char *b) const {
        return std::strcmp(structure, a) == 0 && std::strcmp(name, b) == 0;
    }
    bool of(const char *a) const { return std::strcmp(structure, a) == 0; }
};

constexpr std::size_t to_the_end = ~std::size_t{0}; // what follows a structure in its item

#define FIELD(type, field)                                                                         \
    Field {                                                                                        \
#type, #field, offsetof(type, field), sizeof(type::field)                                  \
    }

const Field fields[] = {
    FIELD(TailCell, magic),
    FIELD(TailCell, counter),
    FIELD(TailCell, tail),
    FIELD(TailCell, epoch),
    FIELD(TailCell, reserved),
    FIELD(TailCell, crc),
    FIELD(RecordHeader, magic),
    FIELD(RecordHeader, length),
    FIELD(RecordHeader, sequence),
    FIELD(RecordHeader, type),
    FIELD(RecordHeader, entry_count),
    FIELD(RecordHeader, payload_crc),
    FIELD(RecordHeader, reserved0),
    FIELD(RecordHeader, previous_end),
    FIELD(RecordHeader, reserved),
    FIELD(RecordHeader, checksum),
    FIELD(RecordEntry, block),
    FIELD(RecordEntry, offset),
    FIELD(RecordEntry, length),
    FIELD(RecordEntry, reserved),
    FIELD(NodeHeader, crc),
    FIELD(NodeHeader, magic),
    FIELD(NodeHeader, level),
    FIELD(NodeHeader, self),
    FIELD(NodeHeader, count),
    FIELD(NodeHeader, heap_start),
    FIELD(NodeHeader, heap_dead),
    FIELD(NodeHeader, reserved),
    FIELD(NodeHeader, reserved1),
    FIELD(Key, inode),
    FIELD(Key, place),
    FIELD(LeafSlot, offset),
    FIELD(LeafSlot, length),
    FIELD(InnerEntry, key),
    FIELD(InnerEntry, child),
    FIELD(BitmapHeader, crc),
    FIELD(BitmapHeader, magic),
    FIELD(BitmapHeader, device),
    FIELD(BitmapHeader, group),
    FIELD(BitmapHeader, free_count),
    FIELD(BitmapHeader, reserved),
    {"BitmapHeader", "(bits)", sizeof(BitmapHeader), to_the_end},
    FIELD(InodeItem, generation),
    FIELD(InodeItem, mode),
    FIELD(InodeItem, uid),
    FIELD(InodeItem, gid),
    FIELD(InodeItem, link_count),
    FIELD(InodeItem, size),
    FIELD(InodeItem, block_count),
    FIELD(InodeItem, atime_ns),
    FIELD(InodeItem, mtime_ns),
    FIELD(InodeItem, ctime_ns),
    FIELD(InodeItem, btime_ns),
    FIELD(InodeItem, rdev),
    FIELD(InodeItem, flags),
    FIELD(InodeItem, parent),
    FIELD(InodeItem, align_hint),
    FIELD(InodeItem, lease_boot),
    FIELD(InodeItem, reserved),
    FIELD(DirentItem, inode),
    FIELD(DirentItem, generation),
    FIELD(DirentItem, name_length),
    FIELD(DirentItem, type),
    FIELD(DirentItem, reserved),
    {"DirentItem", "(name)", sizeof(DirentItem), to_the_end},
    FIELD(BlobItem, length),
    FIELD(BlobItem, crc),
    FIELD(BlobItem, name_length),
    FIELD(BlobItem, block_count),
    FIELD(BlobItem, reserved),
    {"BlobItem", "(name and content)", sizeof(BlobItem), to_the_end},
    FIELD(ExtentItem, media_block),
    FIELD(ExtentItem, block_count),
    FIELD(ExtentItem, flags),
    FIELD(PinItem, block_count),
    FIELD(UnfinishedItem, generation),
    FIELD(UnfinishedItem, from_block),
    FIELD(UnfinishedItem, kind),
    FIELD(UnfinishedItem, reserved),
    FIELD(BadBlockItem, found_ns),
    FIELD(BadBlockItem, source),
    FIELD(BadBlockItem, flags),
    FIELD(QuarantineItem, boot_id),
    FIELD(QuarantineItem, inode),
    FIELD(QuarantineItem, generation),
    FIELD(QuarantineItem, block_count),
    FIELD(QuarantineItem, reserved),
    FIELD(ShutdownItem, unsafe_count),
};

#undef FIELD

template <typename T> T load(std::span<const std::byte> bytes, std::uint64_t offset) {
    T object;
    std::memcpy(&object, bytes.data() + offset, sizeof object);
    return object;
}

const char *structure_of(ItemType type) {
    switch (type) {
    case ItemType::inode:
        return "InodeItem";
    case ItemType::dirent:
        return "DirentItem";
    case ItemType::xattr:
    case ItemType::symlink:
        return "BlobItem";
    case ItemType::extent:
        return "ExtentItem";
    case ItemType::pin:
        return "PinItem";
    case ItemType::unfinished:
        return "UnfinishedItem";
    case ItemType::bad_block:
        return "BadBlockItem";
    case ItemType::quarantine:
        return "QuarantineItem";
    case ItemType::shutdown:
        return "ShutdownItem";
    }
    return "?";
}

// The bytes of a unit that belong to one field.
class FieldMap {
  public:
    FieldMap(const Field &field, std::span<const std::byte> unit) : field_(field) {
        if (load<le32>(unit, 4) == bitmap_magic && field.of("BitmapHeader"))
            add(0, block_size);
        else if (load<le16>(unit, 4) == node_magic)
            add_node(unit);
    }
    bool contains(std::size_t offset) const { return bytes_[offset]; }

  private:
    // A structure at `base` in a place of `room` bytes.
    void add(std::size_t base, std::size_t room) {
        const std::size_t begin = base + field_.offset;
        const std::size_t end =
            field_.size == to_the_end ? base + room : std::min(begin + field_.size, base + room);
        for (std::size_t i = begin; i < end && i < block_size; ++i)
            bytes_[i] = true;
    }

    void add_node(std::span<const std::byte> unit) {
        const auto header = load<NodeHeader>(unit, 0);
        if (field_.of("NodeHeader"))
            add(0, sizeof header);
        for (std::size_t i = 0; i < header.count; ++i) {
            const std::size_t leaf_slot = sizeof header + i * sizeof(LeafSlot);
            const std::size_t inner_entry = sizeof header + i * sizeof(InnerEntry);
            if (header.level > 0) {
                if (field_.of("InnerEntry") && inner_entry + sizeof(InnerEntry) <= block_size)
                    add(inner_entry, sizeof(InnerEntry));
                continue;
            }
            if (leaf_slot + sizeof(LeafSlot) > block_size)
                return;
            if (field_.of("LeafSlot"))
                add(leaf_slot, sizeof(LeafSlot));
            add_item(unit, load<LeafSlot>(unit, leaf_slot));
        }
    }

    void add_item(std::span<const std::byte> unit, const LeafSlot &slot) {
        if (slot.length < sizeof(Key) || slot.offset + slot.length > block_size)
            return;
        const auto key = load<Key>(unit, slot.offset);
        if (field_.of("Key"))
            add(slot.offset, sizeof key);
        if (field_.of(structure_of(static_cast<ItemType>(key.place >> 60))))
            add(slot.offset + sizeof key, slot.length - sizeof key);
    }

    const Field &field_;
    std::bitset<block_size> bytes_;
};

// Goes through the trace with what is visible on device 0 at each moment.
class Dropper {
  public:
    Dropper(Recording &recording, const Field &field)
        : recording_(recording), field_(field), visible_(recording.initial[0]) {}

    std::uint64_t run() {
        for (const test::Event &event : recording_.trace.events) {
            if (event.kind != test::Event::Kind::store || event.device != 0)
                continue;
            const auto bytes = std::span(recording_.trace.bytes).subspan(event.data, event.length);
            if (is_tail_cell(event.offset))
                change_tail_cell(bytes);
            else if (in_ring(event.offset) && is_record(bytes))
                change_record(bytes);
            std::copy(bytes.begin(), bytes.end(),
                      visible_.begin() + static_cast<std::ptrdiff_t>(event.offset));
        }
        return changed_;
    }

  private:
    using Span = std::span<std::byte>;

    bool is_tail_cell(std::uint64_t offset) const {
        return offset == recording_.superblock.tail_cell_a * block_size ||
               offset == recording_.superblock.tail_cell_b * block_size;
    }
    bool in_ring(std::uint64_t offset) const {
        const std::uint64_t begin = recording_.superblock.ring_start * block_size;
        return offset >= begin && offset < begin + recording_.superblock.ring_blocks * block_size;
    }
    static bool is_record(Span bytes) {
        return bytes.size() >= sizeof(RecordHeader) &&
               load<RecordHeader>(bytes, 0).magic == record_magic;
    }

    void clear(Span bytes) {
        for (std::byte &byte : bytes) {
            changed_ += byte != std::byte{0};
            byte = std::byte{0};
        }
    }

    void change_tail_cell(Span bytes) {
        auto cell = load<TailCell>(bytes, 0);
        std::memcpy(epoch_.data(), cell.epoch, epoch_.size());
        if (!field_.of("TailCell"))
            return;
        clear(bytes.subspan(field_.offset, field_.size));
        if (field_.is("TailCell", "crc"))
            return;
        cell = load<TailCell>(bytes, 0);
        const le32 crc = crc32c(bytes.first(offsetof(TailCell, crc)));
        std::memcpy(bytes.data() + offsetof(TailCell, crc), &crc, sizeof crc);
        std::memcpy(epoch_.data(), cell.epoch, epoch_.size());
    }

    void change_record(Span record) {
        const auto header = load<RecordHeader>(record, 0);
        if (field_.of("RecordHeader")) {
            clear(record.subspan(field_.offset, field_.size));
            if (!field_.is("RecordHeader", "checksum"))
                seal(record);
            return;
        }
        const auto payload = record.subspan(sizeof header);
        if (field_.of("RecordEntry"))
            for_each_entry(payload, header.entry_count, [&](const RecordEntry &, Span entry) {
                clear(entry.subspan(field_.offset, field_.size));
            });
        else
            change_outcomes(payload, header.entry_count);
        const le32 crc = crc32c(payload);
        std::memcpy(record.data() + offsetof(RecordHeader, payload_crc), &crc, sizeof crc);
        seal(record);
    }

    void seal(Span record) const {
        constexpr std::size_t hashed = offsetof(RecordHeader, checksum);
        const le64 sum = keyed_hash(epoch_, record.first(hashed));
        std::memcpy(record.data() + hashed, &sum, sizeof sum);
    }

    // visit(entry, bytes of the entry and its outcome)
    template <typename Visit>
    static void for_each_entry(Span payload, std::uint32_t count, const Visit &visit) {
        for (std::uint32_t i = 0; i < count; ++i) {
            const auto entry = load<RecordEntry>(payload, 0);
            const std::size_t length = sizeof entry + (entry.length + std::size_t{7}) / 8 * 8;
            visit(entry, payload.first(length));
            payload = payload.subspan(length);
        }
    }

    using Unit = std::array<std::byte, block_size>;
    Unit visible_unit(std::uint64_t block) const {
        Unit unit;
        std::memcpy(unit.data(), visible_.data() + block * block_size, block_size);
        return unit;
    }

    static std::map<std::uint64_t, Unit> apply(std::map<std::uint64_t, Unit> units, Span payload,
                                               std::uint32_t count) {
        for_each_entry(payload, count, [&](const RecordEntry &entry, Span bytes) {
            std::memcpy(units.at(entry.block).data() + entry.offset, bytes.data() + sizeof entry,
                        entry.length);
        });
        return units;
    }

    // Puts the old bytes of the field where the record has new ones.
    void change_outcomes(Span payload, std::uint32_t count) {
        std::map<std::uint64_t, Unit> before;
        for_each_entry(payload, count, [&](const RecordEntry &entry, Span) {
            before.emplace(entry.block, visible_unit(entry.block));
        });
        const auto after = apply(before, payload, count);
        for_each_entry(payload, count, [&](const RecordEntry &entry, Span bytes) {
            const FieldMap map(field_, after.at(entry.block));
            for (std::size_t i = 0; i < entry.length; ++i) {
                std::byte &byte = bytes[sizeof entry + i];
                const std::byte old = before.at(entry.block)[entry.offset + i];
                if (!map.contains(entry.offset + i) || byte == old)
                    continue;
                byte = old;
                ++changed_;
            }
        });
        if (!field_.is("NodeHeader", "crc") && !field_.is("BitmapHeader", "crc"))
            fit_checksums(payload, count, apply(before, payload, count));
    }

    static void fit_checksums(Span payload, std::uint32_t count,
                              const std::map<std::uint64_t, Unit> &units) {
        for_each_entry(payload, count, [&](const RecordEntry &entry, Span bytes) {
            if (entry.offset != 0)
                return;
            const le32 crc =
                crc32c(std::span<const std::byte>(units.at(entry.block)).subspan(sizeof(le32)));
            std::memcpy(bytes.data() + sizeof entry, &crc, sizeof crc);
        });
    }

    Recording &recording_;
    const Field &field_;
    Bytes visible_;
    HashKey epoch_{};
    std::uint64_t changed_ = 0;
};

} // namespace

std::vector<std::string> field_names() {
    std::vector<std::string> names;
    for (const Field &field : fields)
        names.push_back(std::string(field.structure) + "." + field.name);
    return names;
}

std::uint64_t drop_field(Recording &recording, const std::string &name) {
    const auto names = field_names();
    const auto found = std::find(names.begin(), names.end(), name);
    DAXPIN_ASSERT(found != names.end());
    return Dropper(recording, fields[found - names.begin()]).run();
}

} // namespace daxpin::crash
