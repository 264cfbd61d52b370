// SPDX-License-Identifier: BSD-3-Clause
//
// Shape: which keys of the tree lead to which leaf. A split or a merge changes that, and announces
// it while it holds the nodes concerned: whoever has a leaf locked and sees the stamp that he saw
// before he went down to it knows that the same keys lead there.
#pragma once

#include <atomic>
#include <cstdint>

namespace daxpin::btree {

// Thread-safe.
class Shape {
  public:
    // Differs from that of any other shape that this tree or another has had; never 0.
    std::uint64_t stamp() const { return stamp_.load(std::memory_order_acquire); }

    // REQUIRES: the leaf, and the nodes above it whose children may change, are locked exclusively,
    // until the change can be seen or is given up.
    void announce_change() { stamp_.exchange(new_stamp(), std::memory_order_acq_rel); }

  private:
    static std::uint64_t new_stamp() {
        static std::atomic<std::uint64_t> last{0};
        return last.fetch_add(1, std::memory_order_relaxed) + 1;
    }
    std::atomic<std::uint64_t> stamp_ = new_stamp();
};

} // namespace daxpin::btree
