// SPDX-License-Identifier: BSD-3-Clause
#include "btree/editor.h"

#include "base/assert.h"

namespace daxpin::btree {

namespace {

constexpr std::size_t leaf_capacity = block_size - sizeof(format::NodeHeader);
// A leaf that falls below one of these looks for a sibling to join.
constexpr std::size_t merge_below = leaf_capacity / 4;
constexpr std::size_t merge_again_below = leaf_capacity / 8;

bool crossed(std::size_t before, std::size_t after) {
    return (before >= merge_below && after < merge_below) ||
           (before >= merge_again_below && after < merge_again_below);
}

// Marks what it changes.
class OwnLeaf : public LeafEditor {
  public:
    OwnLeaf(journal::Transaction &tx, const Descent::EditableLeaf &leaf)
        : LeafEditor(leaf.bytes), tx_(tx), unit_(leaf.unit) {}
    ~OwnLeaf() { tx_.mark(unit_, touched()); }
    OwnLeaf(const OwnLeaf &) = delete;
    OwnLeaf &operator=(const OwnLeaf &) = delete;

  private:
    journal::Transaction &tx_;
    MediaBlock unit_;
};

} // namespace

Result<bool> Editor::begins_run(const LeafView &leaf, unsigned at, Key key) {
    if (at == 0 || at != leaf.count())
        return false;
    DAXPIN_TRY_ASSIGN(const auto last, leaf.item(at - 1));
    return last.key.inode / inodes_of_a_run != key.inode / inodes_of_a_run;
}

Result<void> Editor::put(Key key, std::span<const std::byte> value, Mode mode) {
    DAXPIN_ASSERT(value.size() <= value_bytes_max);
    Descent descent(journal_, root_, shape_, &tx_);
    DAXPIN_TRY_ASSIGN(const auto found, descent.edit_leaf_for(key));
    OwnLeaf leaf(tx_.units(), found);
    DAXPIN_TRY_ASSIGN(const auto index, leaf.lower_bound(key));
    if (index < leaf.count()) {
        DAXPIN_TRY_ASSIGN(const auto item, leaf.item(index));
        if (item.key == key && mode == Mode::insert)
            return Errc::exists;
        if (item.key == key && item.value.size() == value.size())
            return leaf.overwrite(index, value);
        if (item.key == key)
            leaf.erase(index);
    }
    DAXPIN_TRY_ASSIGN(const bool apart, begins_run(leaf, index, key));
    if (apart || !leaf.fits(value.size()))
        return insert_structural(key, value);
    leaf.insert(index, key, value);
    return {};
}

Result<void> Editor::erase(Key key) {
    Descent descent(journal_, root_, shape_, &tx_);
    DAXPIN_TRY_ASSIGN(const auto found, descent.edit_leaf_for(key));
    OwnLeaf leaf(tx_.units(), found);
    DAXPIN_TRY_ASSIGN(const auto index, leaf.lower_bound(key));
    if (index == leaf.count())
        return Errc::not_found;
    DAXPIN_TRY_ASSIGN(const auto item, leaf.item(index));
    if (item.key != key)
        return Errc::not_found;
    const auto used_before = leaf.used();
    leaf.erase(index);
    if (found.unit == root_ || (leaf.count() > 0 && !crossed(used_before, leaf.used())))
        return {};
    auto shrunk = shrink(key);
    if (!shrunk && shrunk.code() == Errc::retry && leaf.count() > 0)
        return {}; // joining a sibling can wait
    return shrunk;
}

Result<Editor::Path> Editor::edit_path(Key key, Change change) {
    tx_.known_leaves().clear();
    auto path = lock_path(key, change);
    if (path)
        shape_.announce_change(path->back().unit);
    return path;
}

Result<Editor::Path> Editor::lock_path(Key key, Change change) {
    DAXPIN_TRY_ASSIGN(auto unit, Descent(journal_, root_, shape_, &tx_).edit_parent_for(key));
    const std::byte *const parent = tx_.units().find(unit);
    if (unit != root_) {
        DAXPIN_TRY(check_node(parent, unit, 1));
        const auto children = InnerView(parent).count();
        const bool stops_here = change == Change::one_child_more
                                    ? children < InnerView::capacity
                                    : children > InnerView::small_below;
        if (!stops_here)
            unit = root_;
    }
    Path path;
    DAXPIN_TRY_ASSIGN(auto *bytes, tx_.units().edit(unit));
    for (auto level = unsigned{header_of(bytes).level};;) {
        DAXPIN_TRY(check_node(bytes, unit, level));
        path.push_back({bytes, unit});
        if (level == 0)
            return path;
        const InnerView inner(bytes);
        path.back().index = inner.index_for(key);
        unit = inner.child(path.back().index).unit;
        --level;
        DAXPIN_TRY_ASSIGN(bytes, tx_.units().edit(unit));
    }
}

Result<Editor::Step> Editor::create_unit() {
    DAXPIN_TRY_ASSIGN(const auto unit, tx_.allocate_unit());
    DAXPIN_TRY_ASSIGN(auto *const bytes, tx_.units().create(unit));
    return Step{bytes, unit};
}

} // namespace daxpin::btree
