// SPDX-License-Identifier: BSD-3-Clause
//
// Explorer: takes workloads that begin alike through all their crash points.
//
// Mode L: power fails after a store, and every store before it has reached media. Mode P: power
// fails before or after a drain or at an acknowledgement, and any subset of what is undecided has
// reached media. Some recoveries are crashed in turn, at their own drains.
//
// The workloads are branches of one trunk: the image and the steps of the setup that all of them
// have are gone through once; each branch starts from there, and is rolled back.
#pragma once

#include "crash/states.h"
#include "crash/token.h"
#include "crash/verifier.h"

namespace daxpin::crash {

struct Plan {
    StateBudget states;
    StateBudget nested_states{.exhaustive_bits = 3, .states_max = 8, .random_samples = 2};
    unsigned nested_every = 32; // of the states visited, so many are crashed in recovery; 0 = none
    unsigned stores_every = 1;  // mode L: after so many stores; the others are passed over
    std::uint64_t seed = 1;
    bool stop_at_first = false;
    std::string drop_field = {}; // taken out of every record (fields.h); empty for none
};

class Explorer {
  public:
    struct Listener {
        std::function<void(const Token &, const std::string &text)> report;
        // Called before each state with its token: whoever watches knows where it is. False: stop.
        std::function<bool(const Token &)> announce;
    };

    // `counters` is kept up to date.
    Explorer(const Image &image, const Plan &plan, Counters &counters, Listener listener);

    // Runs all branches, or the one state of `only`. Returns the number of states of each; empty
    // if it was stopped.
    std::vector<std::uint64_t> run(const std::vector<Workload> &branches,
                                   const std::optional<Token> &only);

  private:
    struct Trunk {
        std::vector<Bytes> initial;
        test::Trace trace; // up to where the branches part
        std::unique_ptr<Scratch> stores;
        std::unique_ptr<Scratch> drains;
        std::vector<test::PersistenceModel> models;
    };
    void run_branch(const Workload &branch, std::size_t common_steps);
    void prepare(const Workload &branch);
    void prepare_trunk(std::size_t common_steps);
    bool trunk_fits() const;
    void explore_stores();
    void explore_drains();
    void crash_inside_store(Scratch &scratch, const test::Event &event, std::size_t index,
                            const Position &position);
    void visit(Scratch &scratch, const Position &position, const Token &token);
    void visit_point(const std::vector<test::PersistenceModel> &models, Scratch &scratch,
                     const Position &position, std::size_t event, char moment);
    void crash_recovery(Scratch &scratch, const Position &position, const Token &token);
    void explore_recovery(const test::Trace &trace, const std::vector<Bytes> &images,
                          const Position &position, const Token &token);
    void check_rules(const std::vector<test::PersistenceModel> &models, const test::Event &event,
                     const Position &position, std::size_t index);
    void judge(const Token &token, const std::string &text);
    Token token_of(char moment, std::uint64_t event, std::uint64_t state) const;
    bool wanted(const Token &token) const;
    bool announce(const Token &token);
    bool stopped() const { return stopped_ || (plan_.stop_at_first && counters_.violations > 0); }

    const Image image_;
    const Plan plan_;
    Counters &counters_;
    const Listener listener_;
    std::optional<Token> only_;
    const Workload *workload_ = nullptr;
    Recording recording_;
    Trunk trunk_;
    std::unique_ptr<Expectation> expectation_;
    std::unique_ptr<Verifier> verifier_; // null while a volume is made
    std::function<std::string(Scratch &, const Position &)> check_;
    std::uint64_t visited_ = 0;
    bool stopped_ = false;
};

} // namespace daxpin::crash
