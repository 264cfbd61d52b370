// SPDX-License-Identifier: BSD-3-Clause
#include "btree/descent.h"

#include "base/assert.h"

namespace daxpin::btree {

// A transaction starts again once it has gone down so often in vain.
static constexpr unsigned attempts_max = 8;

void Descent::release() {
    if (held_)
        journal_.units().unlock_shared(*held_);
    held_.reset();
}

Result<void> Descent::hold(MediaBlock unit) {
    if (held_ == unit)
        return {}; // a second lock would wait for a writer who waits for the first
    if (find_own(unit) != nullptr) {
        release(); // ours exclusively: nobody can change it
        return {};
    }
    DAXPIN_TRY(journal_.units().check_address(unit));
    if (tx_ == nullptr)
        journal_.units().prefetch(unit); // it comes together with the word of its lock
    if (tx_ != nullptr) {
        DAXPIN_TRY(tx_->units().lock_shared(unit));
    } else if (!held_) {
        journal_.units().lock_shared(unit);
    } else if (!journal_.units().try_lock_shared(unit)) {
        contended_ = unit;
        return Errc::retry;
    }
    release();
    held_ = unit;
    return {};
}

// False if the wait is not worth while: whoever has units exclusively goes down a few times only.
bool Descent::await_turn(unsigned round) {
    if (tx_ != nullptr)
        return round != attempts_max && tx_->units().await_contended();
    journal_.units().lock_shared(contended_);
    journal_.units().unlock_shared(contended_);
    return true;
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
    const auto index = inner.index_for(key, range_);
    const Child taken = inner.child(index);
    turn.child = taken.unit;
    if (index > 0)
        range_.lower = taken.key;
    if (index + 1 < inner.count())
        range_.upper = inner.child(index + 1).key;
}

Result<Descent::Turn> Descent::turn_at(MediaBlock unit, std::optional<unsigned> level, Key key) {
    Turn turn{level};
    const auto look = [&](const std::byte *node) { look_around(node, unit, key, turn); };
    DAXPIN_TRY(hold(unit));
    if (const std::byte *own = find_own(unit)) {
        through_own_ = true;
        look(own);
    } else {
        DAXPIN_TRY(journal_.units().look(unit, look));
    }
    if (!turn.sound)
        return damaged_node(unit);
    return turn;
}

// The node of that level that `key` leads to, or the root if that is no higher. Its parent is held,
// or the root itself, unless they are the transaction's own.
Result<MediaBlock> Descent::find_node(Key key, unsigned level) {
    range_.lower.reset();
    range_.upper.reset();
    through_own_ = false;
    MediaBlock unit = root_;
    DAXPIN_TRY_ASSIGN(Turn turn, turn_at(unit, std::nullopt, key));
    while (*turn.level > level) {
        unit = turn.child;
        if (turn.level == level + 1)
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
            range_.lower.reset();
            range_.upper.reset();
            if (known.lower != KnownLeaf::Key{})
                range_.lower = Key{known.lower[0], known.lower[1]};
            if (known.upper)
                range_.upper = Key{(*known.upper)[0], (*known.upper)[1]};
            return &known;
        }
    return nullptr;
}

// REQUIRES: the descent has just led to it.
void Descent::remember(MediaBlock leaf) {
    KnownLeaf known{leaf, {}, {}};
    if (range_.lower)
        known.lower = {range_.lower->inode, range_.lower->place};
    if (range_.upper)
        known.upper = {range_.upper->inode, range_.upper->place};
    tx_->known_leaves().push_back(known);
}

// The thread's finger on the leaf that `key` leads to; the bounds are this leaf's then.
std::optional<Finger> Descent::find_finger(Key key) {
    const auto finger = Fingers::mine().find(shape_, key);
    if (finger) {
        range_.lower = finger->lower;
        range_.upper = finger->upper;
    }
    return finger;
}

// REQUIRES: find_node() has just led to it. What a transaction has done to the shape is nobody's to
// rely on, for it may be given up.
void Descent::put_finger(MediaBlock leaf) {
    if (!through_own_)
        Fingers::mine().remember({leaf, shape_.stamp(leaf), range_.lower, range_.upper});
}

// The leaf, whose parent is held, or that itself.
Result<MediaBlock> Descent::find_leaf(Key key) {
    if (const auto finger = find_finger(key)) {
        DAXPIN_TRY(hold(finger->leaf));
        by_finger_ = finger->holds_in(shape_);
        if (by_finger_)
            return finger->leaf;
        release();
    }
    by_finger_ = false;
    DAXPIN_TRY_ASSIGN(const auto leaf, find_node(key, 0));
    put_finger(leaf);
    return leaf;
}

Result<Descent::EditableLeaf> Descent::edit_leaf_for(Key key) {
    DAXPIN_ASSERT(tx_ != nullptr);
    if (const KnownLeaf *known = find_known(key))
        return EditableLeaf{tx_->units().find(known->unit), known->unit};
    DAXPIN_TRY_ASSIGN(const auto leaf, patiently([&] { return edit_leaf(key); }));
    remember(leaf.unit);
    return leaf;
}

Result<Descent::EditableLeaf> Descent::edit_leaf(Key key) {
    if (const auto finger = find_finger(key)) {
        const auto leads_there = [&] { return finger->holds_in(shape_); };
        DAXPIN_TRY_ASSIGN(auto *bytes, tx_->units().edit_marked(finger->leaf, leads_there));
        if (bytes != nullptr) {
            DAXPIN_TRY(check_node(bytes, finger->leaf, 0));
            return EditableLeaf{bytes, finger->leaf};
        }
    }
    return descend_and_edit(key);
}

Result<Descent::EditableLeaf> Descent::descend_and_edit(Key key) {
    DAXPIN_TRY_ASSIGN(auto unit, find_node(key, 0));
    if (held_ == unit) {
        release(); // a shared lock cannot be made exclusive: the root may grow meanwhile
        DAXPIN_TRY(tx_->units().edit(root_));
        DAXPIN_TRY_ASSIGN(unit, find_node(key, 0));
    }
    const auto leads_there = [] { return true; }; // the parent is still held
    DAXPIN_TRY_ASSIGN(auto *bytes, tx_->units().edit_marked(unit, leads_there));
    DAXPIN_TRY(check_node(bytes, unit, 0));
    put_finger(unit);
    return EditableLeaf{bytes, unit};
}

Result<MediaBlock> Descent::edit_parent_for(Key key) {
    DAXPIN_ASSERT(tx_ != nullptr);
    return patiently([&] { return edit_parent(key); });
}

Result<MediaBlock> Descent::edit_parent(Key key) {
    DAXPIN_TRY_ASSIGN(const auto unit, find_node(key, 1));
    if (unit == root_)
        release(); // a shared lock cannot be made exclusive
    DAXPIN_TRY(tx_->units().edit(unit));
    return unit;
}

} // namespace daxpin::btree
