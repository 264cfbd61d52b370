// SPDX-License-Identifier: BSD-3-Clause
#include "btree/descent.h"

#include "base/assert.h"

namespace daxpin::btree {

void Descent::release() {
    if (held_)
        journal_.units().unlock_shared(*held_);
    held_.reset();
}

Result<void> Descent::hold(MediaBlock unit) {
    if (held_ == unit)
        return {}; // a second lock would wait for a writer who waits for the first
    DAXPIN_TRY(journal_.units().check_address(unit));
    if (tx_ != nullptr)
        DAXPIN_TRY(tx_->units().lock_shared(unit));
    else
        journal_.units().lock_shared(unit);
    release();
    held_ = unit;
    return {};
}

// Where the way goes on from a node.
struct Descent::Turn {
    std::optional<unsigned> level; // of the node; at first what it has to be, if that is known
    bool sound = false;
    MediaBlock child{}; // of an inner node
};

// In place on the medium: under the conditions of Units::look().
void Descent::look_around(const std::byte *node, MediaBlock unit, Key key, Turn &turn) noexcept {
    turn.level = turn.level.value_or(header_of(node).level);
    turn.sound = is_sound(node, unit, *turn.level);
    if (!turn.sound || turn.level == 0U)
        return;
    const InnerView inner(node);
    const auto index = inner.index_for(key);
    const Child taken = inner.child(index);
    turn.child = taken.unit;
    if (index > 0)
        lower_ = taken.key;
    if (index + 1 < inner.count())
        upper_ = inner.child(index + 1).key;
}

Result<Descent::Turn> Descent::turn_at(MediaBlock unit, std::optional<unsigned> level, Key key) {
    Turn turn{level};
    const auto look = [&](const std::byte *node) { look_around(node, unit, key, turn); };
    if (const std::byte *own = tx_ != nullptr ? tx_->units().find(unit) : nullptr) {
        release(); // ours exclusively: nobody can change it
        look(own);
    } else {
        DAXPIN_TRY(hold(unit));
        DAXPIN_TRY(journal_.units().look(unit, look));
    }
    if (!turn.sound)
        return damaged_node(unit);
    return turn;
}

// The leaf that `key` leads to. Its parent is held, or the leaf itself if it is the root, unless
// they are the transaction's own.
Result<MediaBlock> Descent::find_leaf(Key key) {
    lower_.reset();
    upper_.reset();
    MediaBlock unit = root_;
    DAXPIN_TRY_ASSIGN(Turn turn, turn_at(unit, std::nullopt, key));
    while (*turn.level > 0) {
        unit = turn.child;
        if (turn.level == 1U)
            break;
        DAXPIN_TRY_ASSIGN(turn, turn_at(unit, *turn.level - 1, key));
    }
    return unit;
}

// The transaction's own leaf that `key` leads to, if it has that; the bounds are this leaf's then.
const Descent::KnownLeaf *Descent::find_known(Key key) {
    if (tx_ == nullptr)
        return nullptr;
    const KnownLeaf::Key wanted{key.inode, key.place};
    for (const KnownLeaf &known : tx_->known_leaves())
        if (known.lower <= wanted && (!known.upper || wanted < *known.upper)) {
            lower_.reset();
            upper_.reset();
            if (known.lower != KnownLeaf::Key{})
                lower_ = Key{known.lower[0], known.lower[1]};
            if (known.upper)
                upper_ = Key{(*known.upper)[0], (*known.upper)[1]};
            return &known;
        }
    return nullptr;
}

// REQUIRES: the descent has just led to it.
void Descent::remember(MediaBlock leaf) {
    KnownLeaf known{leaf, {}, {}};
    if (lower_)
        known.lower = {lower_->inode, lower_->place};
    if (upper_)
        known.upper = {upper_->inode, upper_->place};
    tx_->known_leaves().push_back(known);
}

Result<const std::byte *> Descent::leaf_for(Key key) {
    if (const KnownLeaf *known = find_known(key))
        return tx_->units().find(known->unit);
    DAXPIN_TRY_ASSIGN(const auto unit, find_leaf(key));
    const std::byte *bytes = tx_ != nullptr ? tx_->units().find(unit) : nullptr;
    if (bytes == nullptr) {
        DAXPIN_TRY(hold(unit));
        DAXPIN_TRY(journal_.units().load(unit, buffer_));
        bytes = buffer_.data();
    }
    release();
    DAXPIN_TRY(check_node(bytes, unit, 0));
    return bytes;
}

Result<Descent::EditableLeaf> Descent::edit_leaf_for(Key key) {
    DAXPIN_ASSERT(tx_ != nullptr);
    if (const KnownLeaf *known = find_known(key))
        return EditableLeaf{tx_->units().find(known->unit), known->unit};
    DAXPIN_TRY_ASSIGN(auto unit, find_leaf(key));
    if (held_ == unit) {
        release(); // a shared lock cannot be made exclusive: the root may grow meanwhile
        DAXPIN_TRY(tx_->units().edit(root_));
        DAXPIN_TRY_ASSIGN(unit, find_leaf(key));
    }
    DAXPIN_TRY_ASSIGN(auto *bytes, tx_->units().edit(unit)); // the parent is still held
    release();
    DAXPIN_TRY(check_node(bytes, unit, 0));
    remember(unit);
    return EditableLeaf{bytes, unit};
}

} // namespace daxpin::btree
