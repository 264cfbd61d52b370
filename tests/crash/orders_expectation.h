// SPDX-License-Identifier: BSD-3-Clause
//
// OrdersExpectation: what a crash may leave of a recording of several threads: what some legal
// order of the calls would have made, those in flight being in it or not.
#pragma once

#include "crash/expectation.h"
#include "crash/history.h"

namespace daxpin::crash {

class OrdersExpectation : public Expectation {
  public:
    OrdersExpectation(const Recording &recording, std::uint64_t seed);

    Match match(const Dump &found, const Position &position) override;
    void reach(Session &session, std::size_t outcome) const override;
    // The volume is used by another number of threads than before the crash, meeting in every
    // directory, and then as after any crash.
    std::string use(volume::Volume &volume, const Dump &dump, const Position &position) override;

  private:
    const std::vector<Orders::Outcome> &legal_at(std::size_t moment);
    bool is_half_written(const Dump &found, std::size_t moment, const Orders::Outcome &names);
    Match legal(const Orders::Outcome &outcome, bool is_exact);
    std::string explain(std::size_t moment, const std::string &difference) const;

    const Recording &recording_;
    const std::uint64_t seed_;
    const Orders orders_;
    unsigned threads_ = 0;
    std::map<std::size_t, std::vector<Orders::Outcome>> legal_; // by moment
    std::vector<std::vector<std::size_t>> reached_;             // an order for each set of calls
};

} // namespace daxpin::crash
