// SPDX-License-Identifier: BSD-3-Clause
//
// Explorer: takes one recording through all its crash points.
//
// Mode L: power fails after a store, and every store before it has reached media. Mode P: power
// fails before or after a drain or at an acknowledgement, and any subset of what is undecided has
// reached media. Some recoveries are crashed in turn, at their own drains.
#pragma once

#include "crash/states.h"
#include "crash/token.h"
#include "crash/verifier.h"

namespace daxpin::crash {

struct Plan {
    StateBudget states;
    StateBudget nested_states{.exhaustive_bits = 3, .states_max = 8, .random_samples = 2};
    unsigned nested_every = 32; // of the states visited, so many are crashed in recovery; 0 = none
    std::uint64_t seed = 1;
    bool stop_at_first = false;
    std::string drop_field = {}; // taken out of every record (fields.h); empty for none
};

class Explorer {
  public:
    using Report = std::function<void(const Token &, const std::string &text)>;
    // Called before each state with its token: whoever watches knows where it is.
    using Announce = std::function<void(const Token &)>;

    Explorer(const Workload &workload, Start start, const Plan &plan, Counters &counters,
             Report report, Announce announce);

    // Runs everything, or the one state of `only`.
    void run(const std::optional<Token> &only);

  private:
    void prepare();
    void explore_stores();
    void explore_drains();
    void crash_inside_store(Scratch &scratch, const test::Event &event, std::size_t index,
                            const Position &position);
    void visit(Scratch &scratch, const Position &position, Token token);
    void visit_point(const std::vector<test::PersistenceModel> &models, Scratch &scratch,
                     const Position &position, std::size_t event, char moment);
    void crash_recovery(Scratch &scratch, const Position &position, const Token &token);
    void explore_recovery(const test::Trace &trace, const std::vector<Bytes> &images,
                          const Position &position, const Token &token);
    void check_rules(const std::vector<test::PersistenceModel> &models, const test::Event &event,
                     const Position &position, std::size_t index);
    void judge(const Token &token, const std::string &text);
    bool wanted(const Token &token) const;
    bool stopped() const { return plan_.stop_at_first && counters_.violations > 0; }

    const Workload &workload_;
    const Start start_;
    const Plan plan_;
    Counters &counters_;
    const Report report_;
    const Announce announce_;
    std::optional<Token> only_;
    Recording recording_;
    std::unique_ptr<Verifier> verifier_;
    std::function<std::string(Scratch &, const Position &)> check_;
    std::uint64_t visited_ = 0;
};

} // namespace daxpin::crash
