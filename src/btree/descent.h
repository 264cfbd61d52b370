// SPDX-License-Identifier: BSD-3-Clause
//
// Descent: one way down the tree to the leaf that may hold a key.
//
// Locks shared, the parent held until the child is locked. Nodes are searched in place on the
// medium. What no cache holds makes a search wait for one line after the other, so that it begins
// where the key probably is; and a leaf is copied as a whole for a transaction, which will mostly
// change it, unless the thread has a finger on it, for then the caches hold it. Units that
// the transaction has already changed are read in its own copies, and a leaf among them is found
// without a way down. docs/locking.md has the rules.
#pragma once

#include "btree/fingers.h"
#include "btree/node.h"

#include <optional>

namespace daxpin::btree {

class Descent {
  public:
    Descent(journal::Journal &journal, MediaBlock root, const Shape &shape, alloc::Transaction *tx)
        : journal_(journal), root_(root), shape_(shape), tx_(tx) {}
    ~Descent() { release(); }
    Descent(const Descent &) = delete;
    Descent &operator=(const Descent &) = delete;

    // Calls search(LeafView), once, where Device::look() allows; it returns false if the leaf is
    // damaged.
    template <typename Search> Result<void> search_leaf(Key key, const Search &search);

    // The transaction's copy of the leaf, to be changed and marked. REQUIRES: a transaction.
    struct EditableLeaf {
        std::byte *bytes;
        MediaBlock unit;
    };
    Result<EditableLeaf> edit_leaf_for(Key key);

    // The inner node above that leaf, or the root if there is none but that: to be changed, too.
    // REQUIRES: a transaction.
    Result<MediaBlock> edit_parent_for(Key key);

    // Keys in [lower, upper) lead to the leaf last reached; nothing = no bound. It may hold others,
    // too, for joins give it more.
    const std::optional<Key> &lower() const { return range_.lower; }
    const std::optional<Key> &upper() const { return range_.upper; }

  private:
    using KnownLeaf = alloc::Transaction::KnownLeaf;
    // The transaction's copy of the unit, if it has one.
    const std::byte *find_own(MediaBlock unit) const {
        return tx_ != nullptr ? tx_->units().find(unit) : nullptr;
    }
    const KnownLeaf *find_known(Key key);
    void remember(MediaBlock leaf);
    struct Turn;
    Result<MediaBlock> find_node(Key key, unsigned level);
    Result<Turn> turn_at(MediaBlock unit, std::optional<unsigned> level, Key key);
    void look_around(const std::byte *node, MediaBlock unit, Key key, Turn &turn) noexcept;
    template <typename Search> Result<void> search_held_leaf(Key key, const Search &search);
    template <typename Attempt> auto patiently(const Attempt &attempt) -> decltype(attempt());
    bool await_turn(unsigned round);
    std::optional<Finger> find_finger(Key key);
    void put_finger(MediaBlock leaf);
    Result<MediaBlock> find_leaf(Key key);
    Result<EditableLeaf> edit_leaf(Key key);
    Result<EditableLeaf> descend_and_edit(Key key);
    Result<MediaBlock> edit_parent(Key key);
    // Locks it, unless it is the transaction's own, then lets the one before go.
    Result<void> hold(MediaBlock unit);
    void release();

    journal::Journal &journal_;
    MediaBlock root_;
    const Shape &shape_;
    alloc::Transaction *tx_;
    std::optional<MediaBlock> held_;
    MediaBlock contended_{};   // of a reader without a transaction
    KeyRange range_;           // of the keys that lead to the node last reached
    bool by_finger_ = false;   // the leaf was found so
    bool through_own_ = false; // it led through a node that the transaction has changed
    journal::UnitBytes buffer_;
};

// Who has the unit that is wanted may want the one above it, which was held here: that is let go,
// and the way down begun again.
template <typename Attempt> auto Descent::patiently(const Attempt &attempt) -> decltype(attempt()) {
    for (unsigned round = 1;; ++round) {
        auto done = attempt();
        release();
        if (done || done.code() != Errc::retry || !await_turn(round))
            return done;
    }
}

template <typename Search> Result<void> Descent::search_leaf(Key key, const Search &search) {
    if (const KnownLeaf *known = find_known(key))
        return search(LeafView(find_own(known->unit))) ? Result<void>{} : damaged_node(known->unit);
    return patiently([&] { return search_held_leaf(key, search); });
}

template <typename Search> Result<void> Descent::search_held_leaf(Key key, const Search &search) {
    DAXPIN_TRY_ASSIGN(const auto unit, find_leaf(key));
    DAXPIN_TRY(hold(unit));
    bool sound = false;
    const auto look = [&](const std::byte *node) {
        sound = is_sound(node, unit, 0) && search(LeafView(node));
    };
    if (const std::byte *own = find_own(unit)) {
        look(own);
    } else if (by_finger_) {
        DAXPIN_TRY(journal_.units().look(unit, look));
    } else if (tx_ != nullptr) {
        DAXPIN_TRY(journal_.units().load(unit, buffer_));
        look(buffer_.data());
    } else {
        DAXPIN_TRY(journal_.units().look(unit, [&](const std::byte *node) {
            sound = is_sound(node, unit, 0) && search(ColdLeafView(node, range_));
        }));
    }
    return sound ? Result<void>{} : damaged_node(unit);
}

} // namespace daxpin::btree
