// SPDX-License-Identifier: BSD-3-Clause
//
// Tree: the one persistent B+tree. Items are (Key, value); keys sort by inode, then place.
//
// Every node is a checked unit (journal/units.h). Reads descend with shared locks, parent held
// until the child is locked; changes go through the Transaction. The root never moves. An item's
// value is at most value_bytes_max bytes.
//
// Thread-safe. Layout: docs/format.md, "Tree".
#pragma once

#include "alloc/transaction.h"
#include "btree/shape.h"
#include "format/layout.h"

#include <array>
#include <compare>
#include <functional>
#include <span>

namespace daxpin::btree {

inline constexpr std::size_t value_bytes_max = 1400;

// Inode numbers come in runs of so many, aligned, and a run's items begin a leaf of their own when
// they are added in ascending order, and leaves of two runs are not joined: whoever takes numbers
// from a run of his own changes leaves of his own.
inline constexpr std::uint64_t inodes_of_a_run = 1024;

struct Key {
    std::uint64_t inode = 0;
    std::uint64_t place = 0;

    auto operator<=>(const Key &) const = default;
    static constexpr Key of(InodeNumber inode, format::ItemType type, std::uint64_t offset = 0) {
        return {inode.value, std::uint64_t{static_cast<std::uint8_t>(type)} << 60 | offset};
    }
    constexpr format::ItemType type() const { return static_cast<format::ItemType>(place >> 60); }
    constexpr std::uint64_t offset() const { return place & ((std::uint64_t{1} << 60) - 1); }
    bool is(InodeNumber number, format::ItemType kind) const {
        return inode == number.value && type() == kind;
    }
};

// An item copied out of the tree.
class Item {
  public:
    Key key;
    std::span<const std::byte> value() const { return {bytes_.data(), length_}; }
    void assign(Key new_key, std::span<const std::byte> bytes);

    // The value's beginning as a media structure. ERRORS: corrupt if it is shorter.
    template <typename T> Result<T> as() const {
        if (length_ < sizeof(T))
            return Errc::corrupt;
        T object;
        std::memcpy(&object, bytes_.data(), sizeof(T));
        return object;
    }

  private:
    std::size_t length_ = 0;
    std::array<std::byte, value_bytes_max> bytes_;
};

template <typename T> std::span<const std::byte> bytes_of(const T &object) {
    return std::as_bytes(std::span<const T, 1>(&object, 1));
}

class Tree {
  public:
    using Transaction = alloc::Transaction;

    // Writes an empty tree's root. Durable with the next drain.
    static Result<void> format(device::DeviceTable &devices, MediaBlock root);

    Tree(journal::Journal &journal, MediaBlock root) : journal_(journal), root_(root) {}

    // The devices that hold the tree and what its items point at.
    device::DeviceTable &devices() const { return journal_.devices(); }

    // Reading. With `tx` its own uncommitted changes are seen (and Errc::retry is possible);
    // with null the committed state. False / no call if there is no such item.
    Result<bool> find(Transaction *tx, Key key, Item &out) const;
    Result<bool> next(Transaction *tx, Key from, Item &out) const; // smallest >= from
    // As next(), for a caller who changes something there in the end: that spares a second way
    // down.
    Result<bool> next_to_change(Transaction &tx, Key from, Item &out) const;
    Result<bool> previous(Transaction *tx, Key upto, Item &out) const; // greatest <= upto

    // Calls visit(key, value) for the items of [from, to) in order until it returns false.
    // No lock is held during the calls; an item that stays is seen exactly once, items that come
    // or go meanwhile may be seen or not. `value` is valid during the call.
    using Visitor = std::function<bool(Key, std::span<const std::byte>)>;
    Result<void> scan(Transaction *tx, Key from, Key to, const Visitor &visit) const;

    // Changing. insert: exists if the key is there; replace: inserts or overwrites; erase:
    // not_found if it is not there. Also no_space, retry, io, corrupt.
    Result<void> insert(Transaction &tx, Key key, std::span<const std::byte> value);
    Result<void> replace(Transaction &tx, Key key, std::span<const std::byte> value);
    Result<void> erase(Transaction &tx, Key key);

  private:
    friend class Editor;
    enum class Leaf { to_read, to_change };
    Result<bool> next_item(Transaction *tx, Key from, Leaf leaf, Item &out) const;
    journal::Journal &journal_;
    MediaBlock root_;
    Shape shape_;
};

} // namespace daxpin::btree
