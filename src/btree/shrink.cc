// SPDX-License-Identifier: BSD-3-Clause
//
// Editor, shrinking: empty nodes go, small ones join a sibling that has room. Nothing here
// allocates, so deleting does not depend on free space.
#include "base/assert.h"
#include "btree/editor.h"

namespace daxpin::btree {

Result<void> Editor::shrink(Key key) {
    DAXPIN_TRY_ASSIGN(auto path, edit_path(key, Change::one_child_less));
    if (path.size() == 1)
        return {};
    if (LeafView(path.back().bytes).count() == 0) {
        DAXPIN_TRY(remove_child(path, path.size() - 2));
    } else {
        DAXPIN_TRY_ASSIGN(const bool merged, merge_leaf(path));
        if (!merged)
            return {};
    }
    return collapse_root(path);
}

// Frees the child that the path takes at `depth`, and the node itself if that was its last.
Result<void> Editor::remove_child(Path &path, std::size_t depth) {
    tx_.free_unit(path[depth + 1].unit);
    InnerEditor parent(path[depth].bytes);
    if (parent.count() > 1) {
        parent.erase(path[depth].index);
        return merge_inner(path, depth);
    }
    if (depth > 0)
        return remove_child(path, depth - 1);
    LeafEditor::format(path[0].bytes, root_); // nothing is left
    return {};
}

// Whether the items that meet where two leaves do are of one run.
Result<bool> Editor::are_of_one_run(const LeafView &left, const LeafView &right) {
    if (left.count() == 0 || right.count() == 0)
        return true;
    DAXPIN_TRY_ASSIGN(const auto last, left.item(left.count() - 1));
    DAXPIN_TRY_ASSIGN(const auto first, right.item(0));
    return last.key.inode / inodes_of_a_run == first.key.inode / inodes_of_a_run;
}

// Moves the leaf's items to a neighbour under the same parent if that has room.
Result<bool> Editor::merge_leaf(Path &path) {
    const auto depth = path.size() - 2;
    InnerEditor parent(path[depth].bytes);
    const auto index = path[depth].index;
    const LeafView leaf(path.back().bytes);
    for (const bool to_left : {true, false}) {
        if (to_left ? index == 0 : index + 1 == parent.count())
            continue;
        const auto sibling_index = to_left ? index - 1 : index + 1;
        const auto unit = parent.child(sibling_index).unit;
        DAXPIN_TRY_ASSIGN(auto *bytes, tx_.units().edit(unit));
        DAXPIN_TRY(check_node(bytes, unit, 0));
        LeafEditor sibling(bytes);
        DAXPIN_TRY_ASSIGN(const bool one_run,
                          to_left ? are_of_one_run(sibling, leaf) : are_of_one_run(leaf, sibling));
        if (!one_run || sibling.gap() < leaf.used())
            continue;
        for (unsigned i = 0; i < leaf.count(); ++i) {
            DAXPIN_TRY_ASSIGN(const auto item, leaf.item(i));
            if (!sibling.fits(item.value.size()))
                return Error{Errc::corrupt, "a tree leaf counts its bytes wrong"};
            sibling.insert(to_left ? sibling.count() : i, item.key, item.value);
        }
        if (!to_left)
            parent.put(sibling_index, {parent.child(index).key, unit});
        DAXPIN_TRY(remove_child(path, depth));
        return true;
    }
    return false;
}

// Moves the children of a small inner node to its left neighbour if that has room.
Result<void> Editor::merge_inner(Path &path, std::size_t depth) {
    const InnerView node(path[depth].bytes);
    if (depth == 0 || node.count() >= InnerView::small_below)
        return {};
    InnerEditor parent(path[depth - 1].bytes);
    const auto index = path[depth - 1].index;
    if (index == 0)
        return {};
    const auto unit = parent.child(index - 1).unit;
    DAXPIN_TRY_ASSIGN(auto *bytes, tx_.units().edit(unit));
    DAXPIN_TRY(check_node(bytes, unit, level_of(path[depth])));
    InnerEditor left(bytes);
    if (left.count() + node.count() > InnerView::capacity)
        return {};
    for (unsigned i = 0; i < node.count(); ++i) {
        auto child = node.child(i);
        if (i == 0)
            child.key = parent.child(index).key; // now it is a bound
        left.insert(left.count(), child);
    }
    return remove_child(path, depth - 1);
}

// A root with one child takes the child's place.
Result<void> Editor::collapse_root(Path &path) {
    if (path[0].unit != root_)
        return {};
    auto *root = path[0].bytes;
    while (header_of(root).level > 0 && InnerView(root).count() == 1) {
        const auto unit = InnerView(root).child(0).unit;
        DAXPIN_TRY_ASSIGN(const auto *child, tx_.units().edit(unit));
        DAXPIN_TRY(check_node(child, unit, header_of(root).level - 1U));
        shape_.announce_change(unit); // it may be a leaf
        auto header = header_of(child);
        header.self = root_.value;
        std::memcpy(root + sizeof header, child + sizeof header, block_size - sizeof header);
        std::memcpy(root, &header, sizeof header);
        tx_.free_unit(unit);
    }
    return {};
}

} // namespace daxpin::btree
