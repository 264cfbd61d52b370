// SPDX-License-Identifier: BSD-3-Clause
//
// Editor: changes the tree through one transaction.
//
// A change that fits its leaf locks that leaf alone. One that does not (split, rebuild, merge)
// locks the node above exclusively, too, or the whole path if the change may go further up. A full
// leaf is never rearranged in place, which would log all of it: its items go to fresh units, and
// the record holds only the parent's new pointers.
#pragma once

#include "btree/descent.h"

#include <vector>

namespace daxpin::btree {

class Editor {
  public:
    Editor(journal::Journal &journal, MediaBlock root, Shape &shape, alloc::Transaction &tx)
        : journal_(journal), root_(root), shape_(shape), tx_(tx) {}

    enum class Mode { insert, replace };
    Result<void> put(Key key, std::span<const std::byte> value, Mode mode);
    Result<void> erase(Key key);

  private:
    struct Step {
        std::byte *bytes;
        MediaBlock unit;
        unsigned index = 0; // of the child taken; leaves: unused
    };
    using Path = std::vector<Step>; // downwards
    struct OwnedItem {
        Key key;
        std::span<const std::byte> value; // into the old leaf's copy, or the caller's value
    };

    enum class Change { one_child_more, one_child_less };
    // Down from the node above the leaf if no other one can be concerned, else from the root. The
    // leaf counts as changed in shape once it is locked.
    Result<Path> edit_path(Key key, Change change);
    Result<Path> lock_path(Key key, Change change);
    Result<Step> create_unit();
    static unsigned level_of(const Step &step) { return header_of(step.bytes).level; }

    // Whether an item that comes in there is the first of a run, behind all others of the leaf.
    static Result<bool> begins_run(const LeafView &leaf, unsigned at, Key key);

    // Growing.
    Result<void> insert_structural(Key key, std::span<const std::byte> value);
    Result<void> push_root_down(Path &path);
    Result<Step> write_leaf(std::span<const OwnedItem> items);
    Result<void> rebuild(Path &path, std::span<const OwnedItem> items);
    static void lower_key(const Step &above, Key lowest); // of the child that the path takes
    Result<void> insert_child(Path &path, std::size_t depth, unsigned index, Child child);
    Result<void> split_inner(Path &path, std::size_t &depth, unsigned &index);

    // Shrinking.
    Result<void> shrink(Key key);
    static Result<bool> are_of_one_run(const LeafView &left, const LeafView &right);
    Result<void> remove_child(Path &path, std::size_t depth);
    Result<bool> merge_leaf(Path &path);
    Result<void> merge_inner(Path &path, std::size_t depth);
    Result<void> collapse_root(Path &path);

    journal::Journal &journal_;
    MediaBlock root_;
    Shape &shape_;
    alloc::Transaction &tx_;
};

} // namespace daxpin::btree
