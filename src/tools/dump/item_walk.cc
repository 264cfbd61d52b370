// SPDX-License-Identifier: BSD-3-Clause
#include "tools/dump/item_walk.h"

#include "tools/dump/text.h"

#include <unordered_set>

namespace daxpin::dump {
namespace {

class Visitor : public reader::TreeVisitor {
  public:
    Visitor(const ItemVisitor &item, const NodeVisitor &node) : item_(item), node_(node) {}

    bool enter(const reader::NodePlace &place, double) override {
        if (seen_.insert(place.block.value).second)
            return true;
        broken(place, false, "reached a second time");
        return false;
    }
    void node(MediaBlock block, const reader::Node &node) override {
        if (node_)
            node_(block, node);
    }
    void item(const reader::Item &item, MediaBlock) override { item_(item); }
    void broken(const reader::NodePlace &place, bool unreadable, const std::string &what) override {
        if (result)
            result = Error{unreadable ? Errc::io : Errc::corrupt,
                           "tree node " + block_text(place.block.value) + ": " + what};
    }

    Result<void> result;

  private:
    const ItemVisitor &item_;
    const NodeVisitor &node_;
    std::unordered_set<std::uint64_t> seen_;
};

} // namespace

Result<void> walk_items(const reader::View &view, reader::Key from, std::optional<reader::Key> to,
                        const ItemVisitor &item, const NodeVisitor &node) {
    Visitor visitor(item, node);
    reader::walk_tree(view, visitor, from, to);
    return visitor.result;
}

Result<void> walk_inode(const reader::View &view, std::uint64_t number, const ItemVisitor &item) {
    return walk_items(view, {number, 0}, reader::Key{number + 1, 0}, item);
}

} // namespace daxpin::dump
