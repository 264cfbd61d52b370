// SPDX-License-Identifier: BSD-3-Clause
//
// Shape: which keys of the tree lead to which leaf. Whoever takes keys away from a leaf (splits it,
// frees it) announces that while he has it locked exclusively: whoever has it locked and sees the
// stamp that he saw when he had come down to it knows that the keys he found then still lead there.
// It may have got more keys meanwhile: an empty neighbour went, or another one joined it.
#pragma once

#include "base/types.h"

#include <array>
#include <atomic>
#include <cstdint>

namespace daxpin::btree {

// Thread-safe.
class Shape {
  public:
    Shape() {
        for (auto &stamp : stamps_)
            stamp.store(new_stamp(), std::memory_order_relaxed);
    }

    // Of a leaf, or of some that share it. Differs from that of any leaf of another tree and from
    // all that it was before; never 0. REQUIRES, of who goes down to the leaf and remembers the
    // stamp: the node above it, or the leaf if there is none, is locked since he looked there.
    std::uint64_t stamp(MediaBlock leaf) const {
        return stamps_[leaf.value % stamps_.size()].load(std::memory_order_acquire);
    }

    // REQUIRES: the leaf and the node above it, if there is one, are locked exclusively until the
    // change can be seen or is given up.
    void announce_change(MediaBlock leaf) {
        stamps_[leaf.value % stamps_.size()].exchange(new_stamp(), std::memory_order_acq_rel);
    }

  private:
    static std::uint64_t new_stamp() {
        static std::atomic<std::uint64_t> last{0};
        return last.fetch_add(1, std::memory_order_relaxed) + 1;
    }
    std::array<std::atomic<std::uint64_t>, 1024> stamps_;
};

} // namespace daxpin::btree
