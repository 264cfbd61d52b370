// SPDX-License-Identifier: BSD-3-Clause
//
// Node: one tree block, copied out of media, with everything checked that can be said of it
// alone. Layout: docs/format.md, "Tree".
#pragma once

#include "format/layout.h"

#include <array>
#include <compare>
#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace daxpin::reader {

using UnitBytes = std::array<std::byte, block_size>;

struct Key {
    std::uint64_t inode = 0;
    std::uint64_t place = 0;

    auto operator<=>(const Key &) const = default;
    unsigned type() const { return static_cast<unsigned>(place >> 60); }
    std::uint64_t offset() const { return place & ((std::uint64_t{1} << 60) - 1); }
};
std::string to_string(const Key &key);

struct Item {
    Key key;
    std::span<const std::byte> value;
};

struct Child {
    Key key;
    std::uint64_t block; // MediaBlock
};

inline constexpr unsigned level_max = 15;
inline constexpr unsigned item_bytes_max = sizeof(format::Key) + 1400;

// True if the first four bytes are the CRC-32C of the others.
bool unit_checksum_holds(const UnitBytes &bytes);

// The one bit of the unit that, flipped, makes its checksum hold; nothing if there is none. At
// this length CRC-32C tells one flipped bit from two or three: it cannot take them for another one.
std::optional<std::size_t> flipped_bit(const UnitBytes &bytes);

class Node {
  public:
    // Looks at bytes that must outlive the Node.
    explicit Node(const UnitBytes &bytes) : bytes_(bytes) {}

    // What is wrong with the node as block `self`; nothing if all is well. The accessors below
    // may be used only then.
    std::optional<std::string> problem(std::uint64_t self) const;

    format::NodeHeader header() const;
    unsigned level() const { return header().level; }
    unsigned count() const { return header().count; }
    Item item(unsigned index) const;   // of a leaf
    Child child(unsigned index) const; // of an inner node

  private:
    format::LeafSlot slot(unsigned index) const;
    std::optional<std::string> leaf_problem(const format::NodeHeader &header) const;
    std::optional<std::string> heap_problem(const format::NodeHeader &header) const;
    std::optional<std::string> inner_problem(const format::NodeHeader &header) const;

    const UnitBytes &bytes_;
};

} // namespace daxpin::reader
