// SPDX-License-Identifier: BSD-3-Clause
#include "btree/tree.h"

#include "base/assert.h"
#include "base/checksum.h"
#include "btree/descent.h"
#include "btree/editor.h"

namespace daxpin::btree {

namespace {

// The key just below; nothing below the lowest.
std::optional<Key> predecessor(Key key) {
    if (key.place > 0)
        return Key{key.inode, key.place - 1};
    if (key.inode > 0)
        return Key{key.inode - 1, ~std::uint64_t{0}};
    return std::nullopt;
}

// Copies an item out, as search_leaf() allows. False if it is damaged.
bool take(const LeafView &leaf, unsigned index, Item &out) noexcept {
    const auto item = leaf.try_item(index);
    if (item)
        out.assign(item->key, item->value);
    return item.has_value();
}

} // namespace

void Item::assign(Key new_key, std::span<const std::byte> bytes) {
    DAXPIN_ASSERT(bytes.size() <= bytes_.size());
    key = new_key;
    length_ = bytes.size();
    if (!bytes.empty())
        std::memcpy(bytes_.data(), bytes.data(), bytes.size());
}

Result<void> Tree::format(device::DeviceTable &devices, MediaBlock root) {
    journal::UnitBytes bytes{};
    LeafEditor::format(bytes.data(), root);
    const le32 crc = crc32c(std::span<const std::byte>(bytes).subspan(sizeof(le32)));
    std::memcpy(bytes.data(), &crc, sizeof crc);
    return devices.copy(root, 0, bytes, device::StoreKind::nontemporal);
}

Result<bool> Tree::find(Transaction *tx, Key key, Item &out) const {
    Descent descent(journal_, root_, shape_, tx);
    bool found = false;
    DAXPIN_TRY(descent.search_leaf(key, [&](const auto &leaf) noexcept {
        const auto index = leaf.try_lower_bound(key);
        if (!index || *index == leaf.count())
            return index.has_value();
        const auto item = leaf.try_item(*index);
        found = item && item->key == key;
        if (found)
            out.assign(item->key, item->value);
        return item.has_value();
    }));
    return found;
}

Result<bool> Tree::next(Transaction *tx, Key from, Item &out) const {
    return next_item(tx, from, Leaf::to_read, out);
}

Result<bool> Tree::next_to_change(Transaction &tx, Key from, Item &out) const {
    return next_item(&tx, from, Leaf::to_change, out);
}

Result<bool> Tree::next_item(Transaction *tx, Key from, Leaf use, Item &out) const {
    Descent descent(journal_, root_, shape_, tx);
    for (;;) {
        if (use == Leaf::to_change)
            DAXPIN_TRY(descent.edit_leaf_for(from)); // known to the transaction from here on
        bool found = false;
        DAXPIN_TRY(descent.search_leaf(from, [&](const auto &leaf) noexcept {
            const auto index = leaf.try_lower_bound(from);
            if (!index || *index == leaf.count())
                return index.has_value();
            return found = take(leaf, *index, out);
        }));
        if (found)
            return true;
        if (!descent.upper())
            return false;
        if (*descent.upper() <= from)
            return Error{Errc::corrupt, "the tree's separators are out of order"};
        from = *descent.upper();
    }
}

Result<bool> Tree::previous(Transaction *tx, Key upto, Item &out) const {
    Descent descent(journal_, root_, shape_, tx);
    for (;;) {
        bool found = false;
        DAXPIN_TRY(descent.search_leaf(upto, [&](const auto &leaf) noexcept {
            const auto index = leaf.try_lower_bound(upto);
            if (!index)
                return false;
            unsigned behind = *index;
            if (behind < leaf.count()) {
                const auto item = leaf.try_item(behind);
                if (!item)
                    return false;
                behind += item->key == upto ? 1 : 0;
            }
            return behind == 0 || (found = take(leaf, behind - 1, out));
        }));
        if (found)
            return true;
        if (!descent.lower())
            return false;
        const auto below = predecessor(*descent.lower());
        if (!below)
            return false;
        if (*below >= upto)
            return Error{Errc::corrupt, "the tree's separators are out of order"};
        upto = *below;
    }
}

Result<void> Tree::scan(Transaction *tx, Key from, Key to, const Visitor &visit) const {
    Descent descent(journal_, root_, shape_, tx);
    journal::UnitBytes copy; // a visitor may change the transaction's copy
    while (from < to) {
        DAXPIN_TRY(descent.search_leaf(from, [&](const auto &leaf) noexcept {
            std::memcpy(copy.data(), leaf.bytes(), copy.size());
            return true;
        }));
        const LeafView leaf(copy.data());
        // It may hold more keys than those that are known to lead to it.
        const Key end = std::min(to, descent.upper().value_or(to));
        if (end <= from)
            return Error{Errc::corrupt, "the tree's separators are out of order"};
        DAXPIN_TRY_ASSIGN(const auto first, leaf.lower_bound(from));
        for (auto index = first; index < leaf.count(); ++index) {
            DAXPIN_TRY_ASSIGN(const auto item, leaf.item(index));
            if (item.key >= end)
                break;
            if (!visit(item.key, item.value))
                return {};
        }
        from = end;
    }
    return {};
}

Result<void> Tree::insert(Transaction &tx, Key key, std::span<const std::byte> value) {
    return Editor(journal_, root_, shape_, tx).put(key, value, Editor::Mode::insert);
}

Result<void> Tree::replace(Transaction &tx, Key key, std::span<const std::byte> value) {
    return Editor(journal_, root_, shape_, tx).put(key, value, Editor::Mode::replace);
}

Result<void> Tree::erase(Transaction &tx, Key key) {
    return Editor(journal_, root_, shape_, tx).erase(key);
}

} // namespace daxpin::btree
