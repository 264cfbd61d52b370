// SPDX-License-Identifier: BSD-3-Clause
//
// History: what several threads asked of a volume, what they were answered, and in which orders
// that may have happened one after the other.
#pragma once

#include "crash/oracle.h"

#include <vector>

namespace daxpin::crash {

// One operation of one thread. Moments count the beginnings and ends of all calls, from 1.
struct Call {
    unsigned thread = 0;
    Operation operation;
    Result<std::uint64_t> outcome = 0;
    std::size_t begun = 0;
    std::size_t ended = 0;

    bool has_begun(std::size_t moment) const { return begun <= moment; }
    bool has_ended(std::size_t moment) const { return ended <= moment; }
    std::string describe() const; // with thread and answer
};

// Finds the legal orders of a history. An order holds every call that has ended and none that
// had not begun; a call that ended before another one began comes first (so those of one thread
// keep their order); and the oracle gives each call of it the answer it got.
class Orders {
  public:
    // `before`: the oracle when the first call began.
    Orders(const Oracle &before, const std::vector<Call> &calls) : before_(before), calls_(calls) {}

    struct Outcome {
        std::vector<std::size_t> order; // indices of calls
        Oracle oracle;
    };
    // All that may have happened by `moment`. Calls that failed are left out while in flight.
    std::vector<Outcome> at(std::size_t moment) const;

  private:
    void extend(std::size_t moment, const Outcome &begin, std::vector<Outcome> &found) const;
    bool may_be_next(std::size_t call, std::size_t moment,
                     const std::vector<std::size_t> &order) const;

    const Oracle &before_;
    const std::vector<Call> &calls_;
};

} // namespace daxpin::crash
