// SPDX-License-Identifier: BSD-3-Clause
#include "tools/reader/tree_walk.h"

namespace daxpin::reader {
namespace {

class Walker {
  public:
    Walker(const View &view, TreeVisitor &visitor, Key from, std::optional<Key> to)
        : view_(view), visitor_(visitor), from_(from),
          to_(to), place_{MediaBlock::at(0, view.superblock().root), {}, {}, {}, {}} {}

    // Visits the node at place_, which stands for `share` of the whole, `done` of it before.
    void visit(double done, double share) {
        if (!visitor_.enter(place_, done))
            return;
        const MediaBlock block = place_.block;
        UnitBytes bytes;
        if (const auto read = view_.read(block, bytes); !read)
            return visitor_.broken(place_, read.code() == Errc::io, describe(read.error()));
        const Node node(bytes);
        auto problem = node.problem(block.value);
        if (!problem)
            problem = misplaced(node, place_);
        if (problem)
            return visitor_.broken(place_, false, *problem);
        visitor_.node(block, node);
        if (node.level() == 0)
            visit_items(node, block);
        else
            visit_children(node, done, share / node.count());
    }

  private:
    static std::optional<std::string> misplaced(const Node &node, const NodePlace &place) {
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
            if (item.key >= from_ && is_before_end(item.key))
                visitor_.item(item, block);
        }
    }

    void visit_children(const Node &node, double done, double share) {
        const NodePlace here = place_;
        place_.level = node.level() - 1;
        place_.parents.push_back({here.block, 0});
        for (unsigned i = 0; i < node.count(); ++i) {
            const Child child = node.child(i);
            place_.block = MediaBlock{child.block};
            // The first child's key is no bound: it holds everything from the node's own on.
            place_.low = i == 0 ? here.low : child.key;
            place_.high = i + 1 < node.count() ? std::optional(node.child(i + 1).key) : here.high;
            place_.parents.back().index = i;
            if (is_before_end(place_.low) && (!place_.high || *place_.high > from_))
                visit(done + i * share, share);
        }
        place_ = here;
    }

    bool is_before_end(const Key &key) const { return !to_ || key < *to_; }

    const View &view_;
    TreeVisitor &visitor_;
    Key from_;
    std::optional<Key> to_;
    NodePlace place_;
};

} // namespace

void walk_tree(const View &view, TreeVisitor &visitor, Key from, std::optional<Key> to) {
    Walker walker(view, visitor, from, to);
    walker.visit(0.0, 1.0);
}

} // namespace daxpin::reader
