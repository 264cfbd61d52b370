// SPDX-License-Identifier: BSD-3-Clause
//
// Tree nodes that cannot be used: replaced by one that leads to what was below them, or holds what
// can be had of their items; taken out of their parents if nothing is left. One transaction each.
#pragma once

#include "btree/node.h"
#include "tools/fsck/fixes.h"
#include "tools/repair/engine.h"
#include "tools/repair/orphans.h"

namespace daxpin::repair {

class NodeRepair {
  public:
    // REQUIRES: engine.open_tree() succeeded; `fixes` are of the last check.
    NodeRepair(Engine &engine, const reader::View &view, const fsck::Fixes &fixes)
        : engine_(engine), view_(view), fixes_(fixes), orphans_(view, *fixes.reached) {}

    // What became of it: "3 subtrees below it put back". REQUIRES: of several fixes the one that
    // stands last in the tree comes first. ERRORS: no_space, io, corrupt.
    Result<std::string> fix(const fsck::FixNode &fix);

  private:
    using Transaction = alloc::Transaction;
    struct OwnedItem {
        btree::Key key;
        std::vector<std::byte> value;
    };
    struct Content { // of the new node
        unsigned level = 0;
        std::vector<OwnedItem> items;       // level 0
        std::vector<btree::Child> children; // above
        bool empty() const { return items.empty() && children.empty(); }
    };

    Result<Content> pack(Transaction &tx, const std::vector<Orphans::Subtree> &subtrees,
                         unsigned level);
    Content survivors(const fsck::FixNode &fix) const;
    bool proves_itself(const reader::Item &item) const;
    bool is_contested(MediaBlock block) const;
    Result<void> install(Transaction &tx, const fsck::FixNode &fix, const Content &content);
    Result<void> detach(Transaction &tx, const reader::NodePlace &place);
    Result<unsigned> index_in_parent(Transaction &tx, const reader::NodePlace::Step &parent,
                                     MediaBlock child);

    Engine &engine_;
    const reader::View &view_;
    const fsck::Fixes &fixes_;
    Orphans orphans_;
};

} // namespace daxpin::repair
