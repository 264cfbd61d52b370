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
    if (tx_ != nullptr)
        DAXPIN_TRY(tx_->units().lock_shared(unit));
    else
        journal_.units().lock_shared(unit);
    release();
    held_ = unit;
    return {};
}

Result<Descent::Node> Descent::read(MediaBlock unit, std::optional<unsigned> level) {
    const std::byte *bytes = tx_ != nullptr ? tx_->units().find(unit) : nullptr;
    if (bytes != nullptr) {
        release(); // ours exclusively: nobody can change it
    } else {
        DAXPIN_TRY(journal_.units().check_address(unit));
        DAXPIN_TRY(hold(unit));
        DAXPIN_TRY(journal_.units().load(unit, buffer_));
        bytes = buffer_.data();
    }
    const auto found = level.value_or(header_of(bytes).level);
    DAXPIN_TRY(check_node(bytes, unit, found));
    return Node{bytes, found};
}

Result<Descent::Node> Descent::enter_root() {
    lower_.reset();
    upper_.reset();
    return read(root_, std::nullopt);
}

Result<Descent::Node> Descent::enter(MediaBlock unit, unsigned level) {
    return read(unit, level);
}

MediaBlock Descent::step_to_child(const std::byte *bytes, Key key) {
    const InnerView inner(bytes);
    const auto index = inner.index_for(key);
    if (index > 0)
        lower_ = inner.child(index).key;
    if (index + 1 < inner.count())
        upper_ = inner.child(index + 1).key;
    return inner.child(index).unit;
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
    DAXPIN_TRY_ASSIGN(auto node, enter_root());
    while (node.level > 0) {
        const auto child = step_to_child(node.bytes, key);
        DAXPIN_TRY_ASSIGN(node, enter(child, node.level - 1));
    }
    release();
    return node.bytes;
}

Result<Descent::EditableLeaf> Descent::edit_leaf_for(Key key) {
    DAXPIN_ASSERT(tx_ != nullptr);
    if (const KnownLeaf *known = find_known(key))
        return EditableLeaf{tx_->units().find(known->unit), known->unit};
    DAXPIN_TRY_ASSIGN(auto node, enter_root());
    if (node.level == 0 && tx_->units().find(root_) == nullptr) {
        release(); // a shared lock cannot be made exclusive: the root may grow meanwhile
        DAXPIN_TRY(tx_->units().edit(root_));
        DAXPIN_TRY_ASSIGN(node, enter_root());
    }
    auto unit = root_;
    while (node.level > 1) {
        unit = step_to_child(node.bytes, key);
        DAXPIN_TRY_ASSIGN(node, enter(unit, node.level - 1));
    }
    if (node.level == 1)
        unit = step_to_child(node.bytes, key);
    DAXPIN_TRY_ASSIGN(auto *bytes, tx_->units().edit(unit)); // the parent is still held
    release();
    DAXPIN_TRY(check_node(bytes, unit, 0));
    remember(unit);
    return EditableLeaf{bytes, unit};
}

} // namespace daxpin::btree
