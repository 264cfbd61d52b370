// SPDX-License-Identifier: BSD-3-Clause
#include "tools/reader/tree_walk.h"

namespace daxpin::reader {
namespace {

// Where a node stands: what its parent says of it.
struct Place {
    MediaBlock block;
    std::optional<unsigned> level; // none: the root
    Key low;                       // keys are >= low
    std::optional<Key> high;       // and < high
    double done;
    double share; // of the whole, for progress
};

class Walker {
  public:
    Walker(const View &view, TreeVisitor &visitor, Key from, Key to)
        : view_(view), visitor_(visitor), from_(from), to_(to) {}

    void visit(const Place &place) {
        if (!visitor_.enter(place.block, place.done))
            return;
        UnitBytes bytes;
        if (const auto read = view_.read(place.block, bytes); !read)
            return visitor_.broken(place.block, read.code() == Errc::io, describe(read.error()));
        const Node node(bytes);
        auto problem = node.problem(place.block.value);
        if (!problem)
            problem = misplaced(node, place);
        if (problem)
            return visitor_.broken(place.block, false, *problem);
        visitor_.node(place.block, node);
        if (node.level() == 0)
            visit_items(node, place.block);
        else
            visit_children(node, place);
    }

  private:
    static std::optional<std::string> misplaced(const Node &node, const Place &place) {
        if (place.level && node.level() != *place.level)
            return "level " + std::to_string(node.level()) + " where " +
                   std::to_string(*place.level) + " belongs";
        if (node.count() == 0)
            return place.level ? std::optional<std::string>("empty leaf") : std::nullopt;
        const bool leaf = node.level() == 0;
        const Key first = leaf ? node.item(0).key : node.child(0).key;
        const Key last = leaf ? node.item(node.count() - 1).key : node.child(node.count() - 1).key;
        if (first < place.low || (place.high && last >= *place.high))
            return "keys " + to_string(first) + " to " + to_string(last) +
                   " outside the range its parent gives it";
        return std::nullopt;
    }

    void visit_items(const Node &leaf, MediaBlock block) {
        for (unsigned i = 0; i < leaf.count(); ++i) {
            const Item item = leaf.item(i);
            if (item.key >= from_ && item.key < to_)
                visitor_.item(item, block);
        }
    }

    void visit_children(const Node &node, const Place &place) {
        const double share = place.share / node.count();
        for (unsigned i = 0; i < node.count(); ++i) {
            const Child child = node.child(i);
            std::optional<Key> high = place.high;
            if (i + 1 < node.count())
                high = node.child(i + 1).key;
            // The first child's key is no bound: it holds everything from the node's own on.
            const Key low = i == 0 ? place.low : child.key;
            if (low >= to_ || (high && *high <= from_))
                continue;
            visit({MediaBlock{child.block}, node.level() - 1, low, high, place.done + i * share,
                   share});
        }
    }

    const View &view_;
    TreeVisitor &visitor_;
    Key from_;
    Key to_;
};

} // namespace

void walk_tree(const View &view, TreeVisitor &visitor, Key from, Key to) {
    Walker walker(view, visitor, from, to);
    walker.visit(
        {MediaBlock::at(0, view.superblock().root), std::nullopt, Key{}, std::nullopt, 0.0, 1.0});
}

} // namespace daxpin::reader
