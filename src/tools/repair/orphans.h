// SPDX-License-Identifier: BSD-3-Clause
//
// Orphans: tree nodes that verify and that no node leads to, because one above them was lost.
//
// Looked for among the blocks that the bitmaps call used and that nobody owns; after a crash there
// are none such, so each has lost its owner. A node is believed if its checksum, magic number and
// own address hold (one flipped bit is overlooked; the next check corrects it).
#pragma once

#include "tools/fsck/owner_map.h"
#include "tools/reader/tree_walk.h"

#include <unordered_map>

namespace daxpin::repair {

class Orphans {
  public:
    struct Subtree {
        MediaBlock top;
        unsigned level;
        reader::Key first; // of its keys
        reader::Key last;
    };

    // Looks through device 0.
    Orphans(const reader::View &view, const fsck::OwnerMap &reached);

    // The subtrees of less than `level` whose keys are in [low, high), in order, disjoint: each is
    // taken once. Where two contradict each other the higher one is right, of equals neither.
    std::vector<Subtree> take(unsigned level, const reader::Key &low,
                              const std::optional<reader::Key> &high);

  private:
    struct Node {
        unsigned level;
        reader::Key first;
        reader::Key last;
        std::vector<std::uint64_t> children;
        bool taken = false;
    };
    void look_at(const reader::View &view, MediaBlock block);
    void widen(Node &node);
    void mark_taken(std::uint64_t block);

    std::unordered_map<std::uint64_t, Node> nodes_;
};

} // namespace daxpin::repair
