// SPDX-License-Identifier: BSD-3-Clause
//
// Expectation: which volumes a crash may leave, and what their users do next.
#pragma once

#include "crash/recording.h"

namespace daxpin::crash {

class Expectation {
  public:
    virtual ~Expectation() = default;

    struct Match {
        std::string wrong;       // empty if the dump is a legal one
        std::size_t outcome = 0; // which of the legal ones
        std::uint64_t path = 0;  // tells apart what was done before outcomes, in all recordings
        bool is_exact = true;    // or else data is partly that of one outcome and partly another's
    };
    virtual Match match(const Dump &found, const Position &position) = 0;
    // Brings a prepared and mounted session to that outcome without a crash.
    virtual void reach(Session &session, std::size_t outcome) const = 0;
    // Uses a recovered volume in every way that must work; returns what went wrong.
    virtual std::string use(volume::Volume &volume, const Dump &dump, const Position &position);
};

// Of a recording of one thread: before or after the step in flight.
class StepsExpectation : public Expectation {
  public:
    explicit StepsExpectation(const Recording &recording) : recording_(recording) {}
    Match match(const Dump &found, const Position &position) override;
    void reach(Session &session, std::size_t outcome) const override;

  private:
    const Recording &recording_;
};

// Whether a crash may leave the operation's data half done: overwriting in place; punching and
// zeroing do so at the edges of their range.
bool writes_in_place(Op op);

// Whether each byte of `found` is that of some candidate, and so is each aligned word as a whole
// unless the file's end or a candidate's cuts it.
bool is_mixture(const Bytes &found, const std::vector<const Bytes *> &candidates);

} // namespace daxpin::crash
