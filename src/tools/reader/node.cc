// SPDX-License-Identifier: BSD-3-Clause
#include "tools/reader/node.h"

#include "base/checksum.h"

#include <bit>
#include <bitset>

namespace daxpin::reader {
namespace {

using format::InnerEntry;
using format::LeafSlot;
using format::NodeHeader;

constexpr unsigned item_align = 8;

template <typename T> T load(const UnitBytes &bytes, std::size_t at) {
    T object;
    std::memcpy(&object, bytes.data() + at, sizeof object);
    return object;
}

unsigned padded(unsigned length) {
    return (length + item_align - 1) / item_align * item_align;
}

} // namespace

std::string to_string(const Key &key) {
    return "{" + std::to_string(key.inode) + ", type " + std::to_string(key.type()) + ", " +
           std::to_string(key.offset()) + "}";
}

bool unit_checksum_holds(const UnitBytes &bytes) {
    return load<le32>(bytes, 0) == crc32c(std::span(bytes).subspan(sizeof(le32)));
}

// A checksum is linear: that of a unit with one bit wrong differs from the right one by that of
// the bit alone, which a step of the shift register takes one place back.
std::optional<std::size_t> flipped_bit(const UnitBytes &bytes) {
    constexpr std::uint32_t polynomial = 0x82F63B78;
    constexpr std::size_t checksum_bits = 8 * sizeof(le32);
    const std::uint32_t wrong =
        load<le32>(bytes, 0) ^ crc32c(std::span(bytes).subspan(sizeof(le32)));
    if (std::has_single_bit(wrong))
        return std::countr_zero(wrong); // of the checksum itself
    std::uint32_t of_bit = polynomial;  // the last bit's
    for (std::size_t bit = block_size * 8; bit-- > checksum_bits;) {
        if (of_bit == wrong)
            return bit;
        of_bit = of_bit >> 1 ^ ((of_bit & 1) != 0 ? polynomial : 0);
    }
    return std::nullopt;
}

NodeHeader Node::header() const {
    return load<NodeHeader>(bytes_, 0);
}

LeafSlot Node::slot(unsigned index) const {
    return load<LeafSlot>(bytes_, sizeof(NodeHeader) + index * sizeof(LeafSlot));
}

Item Node::item(unsigned index) const {
    const LeafSlot where = slot(index);
    const auto key = load<format::Key>(bytes_, where.offset);
    return {{key.inode, key.place},
            std::span(bytes_).subspan(where.offset + sizeof key, where.length - sizeof key)};
}

Child Node::child(unsigned index) const {
    const auto entry = load<InnerEntry>(bytes_, sizeof(NodeHeader) + index * sizeof(InnerEntry));
    return {{entry.key.inode, entry.key.place}, entry.child};
}

std::optional<std::string> Node::problem(std::uint64_t self) const {
    if (!unit_checksum_holds(bytes_))
        return "wrong checksum";
    const NodeHeader head = header();
    if (head.magic != format::node_magic)
        return "not a tree node (wrong magic number)";
    if (head.self != self)
        return "says that it is block " + std::to_string(head.self);
    if (head.level > level_max)
        return "impossible level " + std::to_string(head.level);
    return head.level == 0 ? leaf_problem(head) : inner_problem(head);
}

std::optional<std::string> Node::leaf_problem(const NodeHeader &head) const {
    const std::size_t slots_end = sizeof(NodeHeader) + head.count * sizeof(LeafSlot);
    if (slots_end > head.heap_start || head.heap_start > block_size)
        return "slots and heap overlap";
    if (auto heap = heap_problem(head))
        return heap;
    for (unsigned i = 1; i < head.count; ++i)
        if (item(i - 1).key >= item(i).key)
            return "keys out of order at slot " + std::to_string(i);
    return std::nullopt;
}

// Items lie in the heap at multiples of 8, none over another; what is left is dead.
std::optional<std::string> Node::heap_problem(const NodeHeader &head) const {
    std::bitset<block_size / item_align> used;
    unsigned live = 0;
    for (unsigned i = 0; i < head.count; ++i) {
        const LeafSlot where = slot(i);
        if (where.offset % item_align != 0 || where.offset < head.heap_start ||
            where.length < sizeof(format::Key) || where.length > item_bytes_max ||
            where.offset + where.length > block_size)
            return "slot " + std::to_string(i) + " leads outside the heap";
        const unsigned bytes = padded(where.length);
        live += bytes;
        for (unsigned at = where.offset; at < where.offset + bytes; at += item_align) {
            if (used[at / item_align])
                return "the item of slot " + std::to_string(i) + " lies over another";
            used.set(at / item_align);
        }
    }
    const unsigned dead = block_size - head.heap_start - live;
    if (head.heap_dead != dead)
        return "dead bytes " + std::to_string(head.heap_dead) + ", found " + std::to_string(dead);
    return std::nullopt;
}

std::optional<std::string> Node::inner_problem(const NodeHeader &head) const {
    if (head.count == 0)
        return "inner node without a child";
    if (sizeof(NodeHeader) + head.count * sizeof(InnerEntry) > block_size)
        return "more children than fit";
    for (unsigned i = 1; i < head.count; ++i)
        if (child(i - 1).key >= child(i).key)
            return "keys out of order at child " + std::to_string(i);
    return std::nullopt;
}

} // namespace daxpin::reader
