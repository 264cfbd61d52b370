// SPDX-License-Identifier: BSD-3-Clause
//
// Outcomes: what the records of a ring make of each unit, for recovery.
//
// Of an outcome only its place is kept; its bytes stay in the ring. What later ones overwrite is
// dropped time and again, so memory is bounded by the words of the units, not by how often they
// were written: a full ring has a million outcomes, of a busy unit all but the newest are
// overwritten. (Outcomes that fill no word are kept; the writer makes none.)
#pragma once

#include "journal/journal.h"

#include <algorithm>
#include <span>
#include <vector>

namespace daxpin::journal {

struct Outcome {
    MediaBlock unit;
    Sequence stands_at;   // position in the ring of its first byte
    std::uint16_t offset; // within the unit; offset + length <= 4096
    std::uint16_t length; // > 0
};

class Outcomes {
  public:
    // REQUIRES: outcomes come in the order of their records.
    void add(const Outcome &outcome) {
        if (all_.size() >= compact_at_)
            compact();
        all_.push_back(outcome);
    }

    // After the last add(), before for_each_unit().
    void finish();

    // Calls visit(std::span<const Outcome>) for each unit, in ascending order: its outcomes, oldest
    // first, without what is overwritten whole; at least one.
    template <typename Visit> Result<void> for_each_unit(Visit visit) const {
        for (auto begin = all_.begin(); begin != all_.end();) {
            const auto end = std::find_if(
                begin, all_.end(), [&](const Outcome &at) { return at.unit != begin->unit; });
            DAXPIN_TRY(visit(std::span(begin, end)));
            begin = end;
        }
        return {};
    }

    std::size_t size() const { return all_.size(); }

  private:
    void compact(); // sorts, drops
    void sort_by_unit();
    void drop_overwritten();

    static constexpr std::size_t compact_at_least = 1 << 17; // 3 MiB
    std::vector<Outcome> all_;
    std::vector<Outcome> sorted_; // where sort_by_unit() puts them
    std::size_t compact_at_ = compact_at_least;
};

} // namespace daxpin::journal
