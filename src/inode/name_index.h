// SPDX-License-Identifier: BSD-3-Clause
//
// Name index: how items that have a name (directory entries, extended attributes) find their
// place in the tree.
//
// A place is 52 bits of a keyed hash of the name, never 0, and 8 bits of discriminator: names
// with the same hash take the lowest one that is free, and a search compares the names.
#pragma once

#include "base/checksum.h"
#include "btree/tree.h"

#include <optional>
#include <string_view>

namespace daxpin::inode {

inline constexpr unsigned discriminator_bits = 8;

// 52 bits, never 0. SipHash under the volume's secret; tests pass weaker ones.
using NameHash = std::uint64_t (*)(const HashKey &key, std::string_view name);
std::uint64_t name_hash(const HashKey &key, std::string_view name);

// The first place of the names with this hash.
constexpr std::uint64_t first_place(std::uint64_t hash) {
    return hash << discriminator_bits;
}

// What an item is called. ERRORS: corrupt.
using NameOf = Result<std::string_view> (*)(std::span<const std::byte> value);

struct NamedItems {
    const btree::Tree &tree;
    InodeNumber inode;
    format::ItemType type;
    NameOf name_of;
};

// True if `name` is there; `item` is its item then. Within a transaction it is looked for in order
// to change it.
Result<bool> find_name(const NamedItems &items, btree::Tree::Transaction *tx, std::uint64_t hash,
                       std::string_view name, btree::Item &item);

// As find_name(); if it is not there, `free` is the key it would get, nothing if 256 names
// share the hash.
Result<bool> find_name_or_place(const NamedItems &items, btree::Tree::Transaction *tx,
                                std::uint64_t hash, std::string_view name, btree::Item &item,
                                std::optional<btree::Key> &free);

} // namespace daxpin::inode
