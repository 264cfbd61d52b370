// SPDX-License-Identifier: BSD-3-Clause
//
// Outcomes: where in the ring the outcomes of each unit stand, for recovery.
//
// Their bytes stay in the ring. Those of one record for one unit stand one after the other and are
// kept as one stretch: 16 bytes for 24 of the ring at the least, and for more than a hundred
// mostly.
#pragma once

#include "journal/journal.h"

#include <span>
#include <vector>

namespace daxpin::journal {

// Entries of one record, all for the same unit.
struct Stretch {
    // Those of our writer take less: a word that changed and one that did not, in turn.
    static constexpr std::size_t bytes_max = 2 * block_size;

    std::uint64_t block : 48; // of device 0
    std::uint64_t bytes : 16; // at most bytes_max
    Sequence stands_at;

    MediaBlock unit() const { return MediaBlock::at(0, block); }
};
static_assert(sizeof(Stretch) == 16);

class Outcomes {
  public:
    // An entry that takes `bytes` bytes from `stands_at` on. REQUIRES: they come in the order in
    // which they stand; the unit is on device 0; bytes <= Stretch::bytes_max.
    void add(MediaBlock unit, Sequence stands_at, std::size_t bytes);

    // After the last add(): by unit in ascending order, those of one unit oldest first.
    void sort_by_unit();
    std::span<const Stretch> all() const { return all_; }

  private:
    std::vector<Stretch> all_;
};

} // namespace daxpin::journal
