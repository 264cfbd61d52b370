// SPDX-License-Identifier: BSD-3-Clause
#include "btree/node.h"

#include "base/assert.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace daxpin::btree {

namespace {

using format::InnerEntry;
using format::LeafSlot;
using format::NodeHeader;

Key from_media(const format::Key &key) {
    return {key.inode, key.place};
}

format::Key to_media(Key key) {
    format::Key media;
    media.inode = key.inode;
    media.place = key.place;
    return media;
}

Key key_at(const std::byte *place) {
    format::Key key;
    std::memcpy(&key, place, sizeof key);
    return from_media(key);
}

// As operator<, without a branch: in a search nothing can foresee which way it goes.
bool is_below(const Key &one, const Key &other) {
    return (one.inode < other.inode) | ((one.inode == other.inode) & (one.place < other.place));
}

// The first index of [first, first + count) that is not below, or its end.
template <typename IsBelow>
unsigned first_not_below(unsigned first, unsigned count, IsBelow is_below) {
    while (count > 0) {
        const unsigned half = count / 2;
        const bool below = is_below(first + half);
        first += below ? half + 1 : 0;
        count = below ? count - half - 1 : half;
    }
    return first;
}

constexpr unsigned near = 8; // about so many indices away the estimate is mostly right

// Where `key` stands among `count` sorted keys, if those are spread evenly over the range.
unsigned estimate(Key key, const KeyRange &range, unsigned count) {
    if (!range.lower || !range.upper || key < *range.lower || *range.upper <= key)
        return count / 2;
    using Wide = unsigned __int128;
    const auto wide = [](Key bound) { return Wide{bound.inode} << 64 | bound.place; };
    Wide span = wide(*range.upper) - wide(*range.lower);
    Wide offset = wide(key) - wide(*range.lower);
    const auto high = static_cast<std::uint64_t>(span >> 64);
    const int bits = high != 0 ? 128 - std::countl_zero(high)
                               : 64 - std::countl_zero(static_cast<std::uint64_t>(span));
    constexpr int bits_left = 48; // times `count` they fit a word
    const int shift = std::max(0, bits - bits_left);
    span >>= shift;
    offset >>= shift;
    return static_cast<unsigned>(static_cast<std::uint64_t>(offset) * count /
                                 static_cast<std::uint64_t>(span));
}

// As the other, for sorted keys: looks around `guess` first, further away each time.
template <typename IsBelow>
unsigned first_not_below(unsigned first, unsigned count, unsigned guess, IsBelow is_below) {
    unsigned low = first, high = first + count;
    if (guess >= high)
        return first_not_below(first, count, is_below);
    unsigned step = near;
    if (is_below(guess)) {
        low = guess + 1;
        for (; high - low > step && is_below(low + step); step *= 2)
            low += step + 1;
        high = std::min(high, low + step);
    } else {
        high = guess;
        for (; high - low > step && !is_below(high - step - 1); step *= 2)
            high -= step + 1;
        low = high - low > step ? high - step : low;
    }
    return first_not_below(low, high - low, is_below);
}

std::size_t slots_end(unsigned count) {
    return sizeof(NodeHeader) + count * sizeof(LeafSlot);
}

NodeHeader new_header(MediaBlock unit, unsigned level) {
    NodeHeader header{};
    header.magic = format::node_magic;
    header.level = static_cast<std::uint16_t>(level);
    header.self = unit.value;
    header.heap_start = level == 0 ? block_size : 0;
    return header;
}

} // namespace

format::NodeHeader header_of(const std::byte *node) {
    NodeHeader header;
    std::memcpy(&header, node, sizeof header);
    return header;
}

Error damaged_node(MediaBlock unit) {
    return {Errc::corrupt, "tree node " + std::to_string(unit.block()) + " is damaged"};
}

bool is_sound(const std::byte *node, MediaBlock unit, unsigned level) noexcept {
    const auto header = header_of(node);
    if (header.magic != format::node_magic || header.self != unit.value || header.level != level ||
        level > level_max)
        return false;
    return level == 0
               ? slots_end(header.count) <= header.heap_start && header.heap_start <= block_size &&
                     header.heap_dead <= block_size - header.heap_start
               : header.count > 0 && header.count <= InnerView::capacity;
}

Result<void> check_node(const std::byte *node, MediaBlock unit, unsigned level) {
    return is_sound(node, unit, level) ? Result<void>{} : damaged_node(unit);
}

// ---- leaves ----

format::LeafSlot LeafView::slot(unsigned index) const noexcept {
    LeafSlot slot;
    std::memcpy(&slot, node_ + slots_end(index), sizeof slot);
    return slot;
}

std::size_t LeafView::gap() const {
    return header_.heap_start - slots_end(count());
}

std::size_t LeafView::used() const {
    return count() * sizeof(LeafSlot) + block_size - header_.heap_start - header_.heap_dead;
}

// Where item `index` begins, or null if its slot is damaged.
const std::byte *LeafView::place_of(format::LeafSlot where) const noexcept {
    if (where.length < sizeof(format::Key) ||
        where.length > sizeof(format::Key) + value_bytes_max || where.offset % 8 != 0 ||
        where.offset < header_.heap_start || where.offset + where.length > block_size)
        return nullptr;
    return node_ + where.offset;
}

std::optional<ItemView> LeafView::try_item(unsigned index) const noexcept {
    const auto where = slot(index);
    const std::byte *const place = place_of(where);
    if (place == nullptr)
        return std::nullopt;
    return ItemView{key_at(place),
                    {place + sizeof(format::Key), where.length - sizeof(format::Key)}};
}

std::optional<unsigned> LeafView::try_lower_bound(Key key) const noexcept {
    bool damaged = false;
    const unsigned found = first_not_below(0, count(), [&](unsigned index) {
        const std::byte *const place = place_of(slot(index));
        damaged |= place == nullptr;
        return place != nullptr && is_below(key_at(place), key);
    });
    if (damaged)
        return std::nullopt;
    return found;
}

std::optional<unsigned> ColdLeafView::try_lower_bound(Key key) const noexcept {
    const unsigned guess = estimate(key, range_, count());
    const unsigned begin = guess > near ? guess - near : 0;
    for (unsigned index = begin; index < std::min(guess + near + 1, count()); ++index)
        __builtin_prefetch(node_ + slot(index).offset % block_size);
    bool damaged = false;
    const unsigned found = first_not_below(0, count(), guess, [&](unsigned index) {
        const std::byte *const place = place_of(slot(index));
        damaged |= place == nullptr;
        return place != nullptr && is_below(key_at(place), key);
    });
    if (damaged)
        return std::nullopt;
    return found;
}

Result<ItemView> LeafView::item(unsigned index) const {
    if (const auto found = try_item(index))
        return *found;
    return damaged_node({header_.self});
}

Result<unsigned> LeafView::lower_bound(Key key) const {
    if (const auto found = try_lower_bound(key))
        return *found;
    return damaged_node({header_.self});
}

void LeafEditor::format(std::byte *node, MediaBlock unit) {
    const auto header = new_header(unit, 0);
    std::memcpy(node, &header, sizeof header);
}

void LeafEditor::touch(std::size_t offset, std::size_t length) {
    touched_ |= journal::lines_of(offset, length);
}

void LeafEditor::put_slot(unsigned index, LeafSlot slot) {
    std::memcpy(bytes_ + slots_end(index), &slot, sizeof slot);
}

void LeafEditor::put_header() {
    touch(0, sizeof header_);
    std::memcpy(bytes_, &header_, sizeof header_);
}

void LeafEditor::insert(unsigned index, Key key, std::span<const std::byte> value) {
    DAXPIN_ASSERT(index <= count() && fits(value.size()) && value.size() <= value_bytes_max);
    const auto offset = header_.heap_start - item_bytes(value.size());
    const auto media_key = to_media(key);
    touch(offset, sizeof media_key + value.size());
    touch(slots_end(index), slots_end(count() + 1) - slots_end(index));
    std::memcpy(bytes_ + offset, &media_key, sizeof media_key);
    if (!value.empty())
        std::memcpy(bytes_ + offset + sizeof media_key, value.data(), value.size());
    std::memmove(bytes_ + slots_end(index + 1), bytes_ + slots_end(index),
                 (count() - index) * sizeof(LeafSlot));
    LeafSlot slot;
    slot.offset = static_cast<std::uint16_t>(offset);
    slot.length = static_cast<std::uint16_t>(sizeof media_key + value.size());
    put_slot(index, slot);
    header_.heap_start = static_cast<std::uint16_t>(offset);
    header_.count = static_cast<std::uint16_t>(header_.count + 1);
    put_header();
}

Result<void> LeafEditor::overwrite(unsigned index, std::span<const std::byte> value) {
    DAXPIN_TRY_ASSIGN(const auto item, this->item(index));
    DAXPIN_ASSERT(item.value.size() == value.size());
    touch(slot(index).offset + sizeof(format::Key), value.size());
    if (!value.empty())
        std::memcpy(bytes_ + slot(index).offset + sizeof(format::Key), value.data(), value.size());
    return {};
}

void LeafEditor::erase(unsigned index) {
    const auto gone = slot(index);
    const auto bytes = item_bytes(gone.length - sizeof(format::Key));
    touch(slots_end(index), slots_end(count()) - slots_end(index));
    std::memmove(bytes_ + slots_end(index), bytes_ + slots_end(index + 1),
                 (count() - index - 1) * sizeof(LeafSlot));
    header_.count = static_cast<std::uint16_t>(header_.count - 1);
    if (count() == 0) {
        header_.heap_start = block_size;
        header_.heap_dead = 0;
    } else if (gone.offset == header_.heap_start) {
        header_.heap_start = static_cast<std::uint16_t>(header_.heap_start + bytes);
    } else {
        header_.heap_dead = static_cast<std::uint16_t>(header_.heap_dead + bytes);
    }
    put_header();
}

// ---- inner nodes ----

namespace {

std::size_t entry_offset(unsigned index) {
    return sizeof(NodeHeader) + index * sizeof(InnerEntry);
}

} // namespace

Child InnerView::child(unsigned index) const {
    InnerEntry entry;
    std::memcpy(&entry, node_ + entry_offset(index), sizeof entry);
    return {from_media(entry.key), MediaBlock{entry.child}};
}

unsigned InnerView::index_for(Key key) const {
    // The first child takes whatever is below the second.
    return first_not_below(1, count() - 1,
                           [&](unsigned index) {
                               return !is_below(key, key_at(node_ + entry_offset(index)));
                           }) -
           1;
}

unsigned InnerView::index_for(Key key, const KeyRange &range) const {
    const unsigned guess = std::clamp(estimate(key, range, count()), 1U, count());
    const std::byte *const end = node_ + entry_offset(std::min(guess + near + 1, count()));
    for (const std::byte *line = node_ + entry_offset(guess > near ? guess - near : 0); line < end;
         line += 64)
        __builtin_prefetch(line);
    return first_not_below(1, count() - 1, guess,
                           [&](unsigned index) {
                               return !is_below(key, key_at(node_ + entry_offset(index)));
                           }) -
           1;
}

void InnerEditor::format(std::byte *node, MediaBlock unit, unsigned level) {
    const auto header = new_header(unit, level);
    std::memcpy(node, &header, sizeof header);
}

void InnerEditor::put_count(unsigned count) {
    header_.count = static_cast<std::uint16_t>(count);
    std::memcpy(bytes_, &header_, sizeof header_);
}

void InnerEditor::put(unsigned index, Child child) {
    InnerEntry entry;
    entry.key = to_media(child.key);
    entry.child = child.unit.value;
    std::memcpy(bytes_ + entry_offset(index), &entry, sizeof entry);
}

void InnerEditor::insert(unsigned index, Child child) {
    DAXPIN_ASSERT(!full() && index <= count());
    std::memmove(bytes_ + entry_offset(index + 1), bytes_ + entry_offset(index),
                 (count() - index) * sizeof(InnerEntry));
    put(index, child);
    put_count(count() + 1);
}

void InnerEditor::erase(unsigned index) {
    DAXPIN_ASSERT(index < count());
    std::memmove(bytes_ + entry_offset(index), bytes_ + entry_offset(index + 1),
                 (count() - index - 1) * sizeof(InnerEntry));
    put_count(count() - 1);
}

void InnerEditor::truncate(unsigned count) {
    DAXPIN_ASSERT(count <= this->count());
    put_count(count);
}

} // namespace daxpin::btree
