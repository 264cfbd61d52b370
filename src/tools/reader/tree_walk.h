// SPDX-License-Identifier: BSD-3-Clause
//
// walk_tree(): visits the tree's nodes and items in key order and says what is wrong with them.
//
// Never goes below a node that is broken, and leaves it to the visitor to stop at nodes reached
// twice; so it ends on any image. Recursion is bounded by level_max.
#pragma once

#include "tools/reader/view.h"

namespace daxpin::reader {

// Where a node stands: what its parents say of it.
struct NodePlace {
    MediaBlock block;
    std::optional<unsigned> level; // none: the root
    Key low;                       // keys are >= low
    std::optional<Key> high;       // and < high
    struct Step {
        MediaBlock node;
        unsigned index; // of the child taken
    };
    std::vector<Step> parents; // root first
};

class TreeVisitor {
  public:
    virtual ~TreeVisitor() = default;

    // A node is about to be read; `done` is the part of the tree before it, 0 .. 1. False leaves
    // it and everything below out.
    virtual bool enter(const NodePlace &place, double done) = 0;
    // A node that is sound.
    virtual void node(MediaBlock block, const Node &node) = 0;
    virtual void item(const Item &item, MediaBlock leaf) = 0;
    // A node that cannot be used; its items come neither before nor after.
    virtual void broken(const NodePlace &place, bool unreadable, const std::string &what) = 0;
};

// Visits the nodes that may hold keys of [from, to) and the items that do; without `to` up to the
// last.
void walk_tree(const View &view, TreeVisitor &visitor, Key from = {}, std::optional<Key> to = {});

} // namespace daxpin::reader
