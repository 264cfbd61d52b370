// SPDX-License-Identifier: BSD-3-Clause
//
// Views on the bytes of one tree node in DRAM. Bytes come from media: every offset is checked
// before it is followed, and what does not fit is Errc::corrupt.
//
// Layout: docs/format.md, "Tree".
#pragma once

#include "base/result.h"
#include "btree/tree.h"
#include "format/layout.h"

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace daxpin::btree {

inline constexpr unsigned level_max = 15;

inline std::size_t item_bytes(std::size_t value_bytes) { // in the heap, padded
    return (sizeof(format::Key) + value_bytes + 7) / 8 * 8;
}

format::NodeHeader header_of(const std::byte *node);

// Magic, own address and level; counts and heap within the node.
bool is_sound(const std::byte *node, MediaBlock unit, unsigned level) noexcept;
Error damaged_node(MediaBlock unit);
Result<void> check_node(const std::byte *node, MediaBlock unit, unsigned level);

// Keys in [lower, upper); nothing = no bound.
struct KeyRange {
    std::optional<Key> lower, upper;
};

struct ItemView {
    Key key;
    std::span<const std::byte> value;
};

class LeafView {
  public:
    explicit LeafView(const std::byte *node) : node_(node), header_(header_of(node)) {}

    const std::byte *bytes() const { return node_; }
    unsigned count() const { return header_.count; }
    // Bytes between the slots and the heap.
    std::size_t gap() const;
    // Bytes of slots and live items.
    std::size_t used() const;

    Result<ItemView> item(unsigned index) const;
    // The first item whose key is >= `key`; count() if there is none.
    Result<unsigned> lower_bound(Key key) const;

    // The same where nothing may be allocated: nothing if the leaf is damaged.
    std::optional<ItemView> try_item(unsigned index) const noexcept;
    std::optional<unsigned> try_lower_bound(Key key) const noexcept;

  protected:
    format::LeafSlot slot(unsigned index) const noexcept;
    const std::byte *place_of(format::LeafSlot where) const noexcept;
    const std::byte *node_;
    format::NodeHeader header_;
};

// A leaf that is probably in no cache, whose keys are of that range: a search begins where the key
// probably is, and asks for the lines around that ahead.
class ColdLeafView : public LeafView {
  public:
    ColdLeafView(const std::byte *node, const KeyRange &range) : LeafView(node), range_(range) {}
    std::optional<unsigned> try_lower_bound(Key key) const noexcept;

  private:
    const KeyRange &range_;
};

class LeafEditor : public LeafView {
  public:
    explicit LeafEditor(std::byte *node) : LeafView(node), bytes_(node) {}
    static void format(std::byte *node, MediaBlock unit);

    bool fits(std::size_t value_bytes) const {
        return gap() >= item_bytes(value_bytes) + sizeof(format::LeafSlot);
    }
    void insert(unsigned index, Key key, std::span<const std::byte> value);   // REQUIRES: fits()
    Result<void> overwrite(unsigned index, std::span<const std::byte> value); // same length
    void erase(unsigned index); // REQUIRES: item(index) was valid

    // What was changed, for journal::Transaction::mark().
    std::uint64_t touched() const { return touched_; }

  private:
    void touch(std::size_t offset, std::size_t length);
    void put_slot(unsigned index, format::LeafSlot slot);
    void put_header();
    std::byte *bytes_;
    std::uint64_t touched_ = 0;
};

struct Child {
    Key key; // the lowest it may hold
    MediaBlock unit;
};

class InnerView {
  public:
    explicit InnerView(const std::byte *node) : node_(node), header_(header_of(node)) {}
    static constexpr unsigned capacity =
        (block_size - sizeof(format::NodeHeader)) / sizeof(format::InnerEntry);

    static constexpr unsigned small_below = capacity / 4; // children: then it looks for a neighbour

    unsigned count() const { return header_.count; }
    Child child(unsigned index) const;
    unsigned index_for(Key key) const; // of the child that holds `key`
    // The same of a node that is probably in no cache, whose keys are of that range.
    unsigned index_for(Key key, const KeyRange &range) const;

  protected:
    const std::byte *node_;
    format::NodeHeader header_;
};

class InnerEditor : public InnerView {
  public:
    explicit InnerEditor(std::byte *node) : InnerView(node), bytes_(node) {}
    static void format(std::byte *node, MediaBlock unit, unsigned level);

    bool full() const { return count() == capacity; }
    void insert(unsigned index, Child child); // REQUIRES: !full()
    void put(unsigned index, Child child);
    void erase(unsigned index);
    void truncate(unsigned count); // keeps the first `count`

  private:
    void put_count(unsigned count);
    std::byte *bytes_;
};

} // namespace daxpin::btree
