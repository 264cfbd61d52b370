// SPDX-License-Identifier: BSD-3-Clause
//
// Editor, growing: what happens when an item does not fit its leaf.
#include "base/assert.h"
#include "btree/editor.h"

namespace daxpin::btree {

namespace {

constexpr std::size_t leaf_capacity = block_size - sizeof(format::NodeHeader);
// Fuller than this, a rebuilt leaf would soon be full again: it is split instead.
constexpr std::size_t rebuild_max = leaf_capacity / 8 * 7;
// A leaf at least this full that gets an item at its end is left alone and a new one begun, so
// that ascending keys fill leaves whole.
constexpr std::size_t append_min = leaf_capacity / 4 * 3;

std::size_t leaf_bytes(std::size_t value_bytes) {
    return item_bytes(value_bytes) + sizeof(format::LeafSlot);
}

// How many of the items go left so that both sides fit and are about equal; 0 if there is no
// way, which only a leaf whose items overlap can bring about.
template <typename Items> std::size_t split_point(const Items &items, std::size_t total) {
    std::size_t left = 0, count = 0;
    while (count + 1 < items.size() && left < total / 2) {
        const auto more = leaf_bytes(items[count].value.size());
        if (left + more > leaf_capacity)
            break;
        left += more;
        ++count;
    }
    return count > 0 && total - left <= leaf_capacity ? count : 0;
}

Error overlapping_items() {
    return {Errc::corrupt, "a tree leaf's items overlap"};
}

} // namespace

Result<Editor::Step> Editor::write_leaf(std::span<const OwnedItem> items) {
    DAXPIN_TRY_ASSIGN(const auto step, create_unit());
    LeafEditor::format(step.bytes, step.unit);
    LeafEditor leaf(step.bytes);
    for (const auto &item : items) {
        if (!leaf.fits(item.value.size()))
            return overlapping_items();
        leaf.insert(leaf.count(), item.key, item.value);
    }
    return step;
}

// The root stays where it is: what it held moves to a fresh unit below it.
Result<void> Editor::push_root_down(Path &path) {
    auto &root = path.front();
    const auto level = level_of(root);
    if (level >= level_max)
        return Error{Errc::corrupt, "the tree is too deep"};
    DAXPIN_TRY_ASSIGN(auto below, create_unit());
    if (level == 0) {
        LeafEditor::format(below.bytes, below.unit);
        LeafEditor copy(below.bytes);
        const LeafView old(root.bytes);
        for (unsigned i = 0; i < old.count(); ++i) {
            DAXPIN_TRY_ASSIGN(const auto item, old.item(i));
            if (!copy.fits(item.value.size()))
                return overlapping_items();
            copy.insert(i, item.key, item.value);
        }
    } else {
        InnerEditor::format(below.bytes, below.unit, level);
        InnerEditor copy(below.bytes);
        const InnerView old(root.bytes);
        for (unsigned i = 0; i < old.count(); ++i)
            copy.insert(i, old.child(i));
    }
    below.index = root.index;
    InnerEditor::format(root.bytes, root.unit, level + 1);
    InnerEditor(root.bytes).insert(0, {Key{}, below.unit});
    root.index = 0;
    path.insert(path.begin() + 1, below);
    return {};
}

Result<void> Editor::insert_structural(Key key, std::span<const std::byte> value) {
    DAXPIN_TRY_ASSIGN(auto path, edit_path(key, Change::one_child_more));
    if (path.size() == 1)
        DAXPIN_TRY(push_root_down(path));
    LeafEditor leaf(path.back().bytes);
    DAXPIN_TRY_ASSIGN(const auto at, leaf.lower_bound(key));
    DAXPIN_TRY_ASSIGN(const bool apart, begins_run(leaf, at, key));
    if (!apart && leaf.fits(value.size())) { // moving it down took the holes out
        leaf.insert(at, key, value);
        return {};
    }
    const OwnedItem added{key, value};
    if (at == leaf.count() && (apart || leaf.used() >= append_min)) {
        DAXPIN_TRY_ASSIGN(const auto first, leaf.item(0));
        DAXPIN_TRY_ASSIGN(const auto fresh, write_leaf({&added, 1}));
        const auto depth = path.size() - 2;
        lower_key(path[depth], first.key);
        return insert_child(path, depth, path[depth].index + 1, {key, fresh.unit});
    }
    std::vector<OwnedItem> items;
    for (unsigned i = 0; i < leaf.count(); ++i) {
        if (i == at)
            items.push_back(added);
        DAXPIN_TRY_ASSIGN(const auto item, leaf.item(i));
        items.push_back({item.key, item.value});
    }
    if (at == leaf.count())
        items.push_back(added);
    return rebuild(path, items);
}

// Writes the items to one or two fresh leaves in place of the path's leaf, which is freed.
Result<void> Editor::rebuild(Path &path, std::span<const OwnedItem> items) {
    std::size_t total = 0;
    for (const auto &item : items)
        total += leaf_bytes(item.value.size());
    const auto depth = path.size() - 2;
    const auto index = path[depth].index;
    const bool split = total > rebuild_max;
    const auto left_count = split ? split_point(items, total) : items.size();
    if (left_count == 0)
        return overlapping_items();
    DAXPIN_TRY_ASSIGN(const auto left, write_leaf(items.first(left_count)));
    InnerEditor parent(path[depth].bytes);
    parent.put(index, {parent.child(index).key, left.unit});
    if (split) {
        lower_key(path[depth], items.front().key);
        DAXPIN_TRY_ASSIGN(const auto right, write_leaf(items.subspan(left_count)));
        DAXPIN_TRY(insert_child(path, depth, index + 1, {items[left_count].key, right.unit}));
    }
    tx_.free_unit(path.back().unit);
    return {};
}

// The key of a node's first entry is no bound: once the entry before it has gone, its child may
// come to hold keys below it. Where the child is split the entries have to ascend all the same.
void Editor::lower_key(const Step &above, Key lowest) {
    InnerEditor node(above.bytes);
    const Child taken = node.child(above.index);
    if (lowest < taken.key)
        node.put(above.index, {lowest, taken.unit});
}

Result<void> Editor::insert_child(Path &path, std::size_t depth, unsigned index, Child child) {
    if (InnerEditor(path[depth].bytes).full())
        DAXPIN_TRY(split_inner(path, depth, index));
    InnerEditor(path[depth].bytes).insert(index, child);
    return {};
}

// Makes room in a full inner node; afterwards depth and index name where the child goes.
Result<void> Editor::split_inner(Path &path, std::size_t &depth, unsigned &index) {
    if (depth == 0) {
        DAXPIN_TRY(push_root_down(path));
        depth = 1;
    }
    InnerEditor left(path[depth].bytes);
    const auto half = left.count() / 2;
    DAXPIN_TRY_ASSIGN(auto fresh, create_unit());
    InnerEditor::format(fresh.bytes, fresh.unit, level_of(path[depth]));
    InnerEditor right(fresh.bytes);
    for (auto i = half; i < left.count(); ++i)
        right.insert(i - half, left.child(i));
    const Child separator{left.child(half).key, fresh.unit};
    left.truncate(half);
    lower_key(path[depth - 1], left.child(0).key);
    const auto levels_before = path.size();
    DAXPIN_TRY(insert_child(path, depth - 1, path[depth - 1].index + 1, separator));
    depth += path.size() - levels_before; // the root may have grown above us
    if (index > half) {
        path[depth].bytes = fresh.bytes;
        path[depth].unit = fresh.unit;
        index -= half;
    }
    return {};
}

} // namespace daxpin::btree
