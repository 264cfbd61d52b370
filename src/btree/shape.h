// SPDX-License-Identifier: BSD-3-Clause
//
// Shape: which keys of the tree lead to which leaf. Each leaf has a stamp, and a split or a free
// changes it while the leaf is locked exclusively. If a thread locks a leaf that it remembers and
// finds the same stamp, the keys that led there then still do. The leaf may have got more keys
// meanwhile: an empty neighbour went, or another one joined it.
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

    // The leaf's stamp, which some leaves may share. Differs from all earlier ones and from those
    // of other trees; never 0. REQUIRES, of a thread that goes down and remembers the stamp: since
    // it looked into the node above the leaf it has kept that locked (or the leaf, if there is
    // none above).
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
