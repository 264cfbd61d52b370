// SPDX-License-Identifier: BSD-3-Clause
//
// Replay: what the records of a ring make of the units that they name; verified, then written.
//
// The lines that records touch are kept in memory as they will be: what was verified is what is
// written, with no further look at ring or homes. Units do not depend on each other: a few threads
// take those of a full ring piece by piece, and have ended when a call returns.
#pragma once

#include "journal/outcomes.h"
#include "journal/ring.h"

#include <array>
#include <memory_resource>

namespace daxpin::journal {

// Says what to do about a ring that is damaged in the way that `what` tells.
Error damaged(const std::string &what);

class Replay {
  public:
    // Lays the outcomes over their homes in memory and verifies every unit: damage is found before
    // anything is written. A newest record that does not verify any more may have gone home
    // already, and replaying those before it would put homes back that it had changed. REQUIRES:
    // outcomes.sort_by_unit(). ERRORS: corrupt, the same whatever thread is first; io.
    static Result<Replay> prepare(const Outcomes &outcomes, const Ring &ring,
                                  const device::DeviceTable &devices);

    // Home, durably. Units need no order among them: until the tail moves all of it can be
    // repeated. They do not count as verified: what the medium made of them shows at their first
    // use. ERRORS: io.
    Result<void> write(const device::DeviceTable &devices) const;

  private:
    using Line = std::array<std::byte, 64>;
    struct Touched {
        MediaBlock unit;
        std::uint64_t lines; // a bit for each of its 64
        const Line *bytes;   // of those, in order
    };
    struct Part {
        std::pmr::monotonic_buffer_resource memory;
        std::pmr::vector<Touched> units{&memory};
    };
    class Builder;

    static Result<void> write(const Part &part, const device::DeviceTable &devices);

    std::vector<Part> parts_;
};

} // namespace daxpin::journal
