// SPDX-License-Identifier: BSD-3-Clause
//
// Fingers: the leaves that a thread has lately come to, and which keys they hold. A search near one
// of them need not go down the tree again (in the literature a finger search).
//
// A finger is a hint: it holds if the leaf still has the stamp that it had when the way down led to
// it. Whoever uses one looks at that once he has locked the leaf.
#pragma once

#include "btree/tree.h"

#include <array>
#include <optional>

namespace daxpin::btree {

struct Finger {
    MediaBlock leaf{};
    std::uint64_t stamp = 0;         // the leaf's
    std::optional<Key> lower, upper; // keys in [lower, upper) lead there; nothing = no bound

    bool may_hold(Key key) const { return (!lower || *lower <= key) && (!upper || key < *upper); }
    bool holds_in(const Shape &shape) const { return shape.stamp(leaf) == stamp; }
};

// The calling thread's, for all trees.
class Fingers {
  public:
    static Fingers &mine();

    // One on the leaf that `key` leads to in the tree of that shape.
    std::optional<Finger> find(const Shape &shape, Key key);
    void remember(const Finger &finger); // in place of the one that was not used for longest

  private:
    std::array<Finger, 8> fingers_; // the one last used comes first
};

} // namespace daxpin::btree
