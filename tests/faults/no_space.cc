// SPDX-License-Identifier: BSD-3-Clause
//
// faults-no-space: every step of the crash suite's workloads with no block free, with one, and so
// on until it goes through (shortage.h), by one device that holds everything, by data devices of
// which the data are short, and by a metadata device that is short itself. What falls short says
// so and changes nothing; what goes through did what the oracle says; what gives space back always
// goes through; emptied, the volume has the space of a new one.
#include "faults/no_space.h"
#include "crash/ace.h"
#include "crash/data_workloads.h"
#include "crash/oracle.h"
#include "crash/usability.h"

#include <algorithm>
#include <cstdio>
#include <string_view>

namespace daxpin::faults {

using crash::Dump;
using crash::Op;
using crash::Operation;

namespace {

// What must never be refused for want of space: it gives some back, or changes in place.
bool needs_nothing(const Operation &operation, const Dump &before) {
    switch (operation.op) {
    case Op::unlink:
    case Op::rmdir:
    case Op::rename: // the reserve pays, of which nothing is spent here
    case Op::open_truncate:
    case Op::remove_xattr:
    case Op::chown:
    case Op::utimens:
    case Op::set_flags:
    case Op::open:
    case Op::close:
    case Op::lease:
    case Op::mapped_write:
    case Op::checkpoint:
    case Op::background:
    case Op::prezero:
    case Op::prove_absence:
        return true;
    case Op::truncate: {
        const auto number = before.names.find(operation.path);
        return number != before.names.end() &&
               operation.length <= before.files.at(number->second).attributes.size;
    }
    default:
        return false;
    }
}

class NoSpace final : public Shortage {
  public:
    NoSpace(Short what, const crash::Workload &workload, Counts &counts)
        : Shortage(workload.name + to_string(what), workload, counts), what_(what),
          ground_(shape_of(what), env()) {}

  protected:
    const Ground &ground() const override { return ground_; }

    void leave(std::uint64_t pieces) override {
        if (!ballast_)
            ballast_.emplace(what_,
                             [this](const Operation &operation) { return run_both(operation); });
        if (pieces > 0)
            return expect(ballast_->give(), "giving a block back");
        ballast_->fill();
        check_release();
    }

    std::optional<Outcome> attempt(const Operation &operation, const Dump &before) override {
        auto outcome = executor().run(operation);
        if (outcome || outcome.code() != Errc::no_space)
            return outcome;
        if (needs_nothing(operation, before))
            wrong(crash::describe(operation), "refused for want of space");
        return std::nullopt;
    }

    void ran(const Operation &operation, const Outcome &outcome, const std::string &when) override {
        if (auto text = oracle_.apply(operation, outcome); !text.empty())
            wrong(when, text);
        else if (text = oracle_.difference(dump(when)); !text.empty())
            wrong(when, text);
    }

    void killed(Op how) override {
        static_cast<void>(oracle_.perform({.op = how, .path = {}}, 0).has_value());
    }

    void finish() override {
        leave(0);
        const Dump last = dump("at the end");
        close_files();
        expect(crash::delete_everything(volume(), last), "deleting everything");
        unmount();
        expect(compare_with_new(what_, ground_.media, env()), "emptied");
    }

  private:
    Outcome run_both(const Operation &operation) {
        auto outcome = executor().run(operation);
        if (auto text = oracle_.apply(operation, outcome); !text.empty())
            wrong("ballast", text);
        return outcome;
    }

    void expect(const std::string &text, const std::string &when) {
        if (!text.empty())
            wrong(when, text);
    }

    // On a copy: what is there can be made smaller, and goes.
    void check_release() {
        std::vector<std::shared_ptr<test::SimMedia>> copies;
        for (const auto &one : ground_.media)
            copies.push_back(one->clone());
        test::TestEnv copy_env(2);
        {
            auto copy = volume::Volume::open(test::open_table(copies), copy_env, options());
            if (!copy)
                return wrong("a copy", daxpin::describe(copy.error()));
            expect(release_everything(**copy), "a copy");
        }
        expect(compare_with_new(what_, copies, copy_env), "a copy, emptied");
    }

    const Short what_;
    const SimulatedGround ground_;
    crash::Oracle oracle_;
    std::optional<Ballast> ballast_;
};

struct Selection {
    std::string_view only; // empty: all
    bool all = false;
};

// In the short run some of ACE's pairs, every so many; the data workloads likewise.
constexpr std::size_t sample = 128;

std::vector<crash::Workload> choose(const Selection &selection) {
    std::vector<crash::Workload> chosen;
    for (const auto &workload : crash::workloads())
        if (workload.name != crash::format_workload)
            chosen.push_back(workload);
    std::size_t count = 0;
    const auto sampled = [&](crash::Workload workload) {
        if (selection.all || !selection.only.empty() || count++ % sample == 0)
            chosen.push_back(std::move(workload));
    };
    for (const auto &group : crash::data_workloads())
        std::ranges::for_each(group, sampled);
    for (const auto &one : crash::ace_branches({})) {
        chosen.push_back(crash::ace_workload(one));
        for (const auto &pair : crash::ace_branches(one))
            sampled(crash::ace_workload(pair));
    }
    std::erase_if(chosen, [&](const auto &workload) {
        return !selection.only.empty() && workload.name != selection.only;
    });
    return chosen;
}

} // namespace

int run_no_space(const Selection &selection) {
    Counts counts;
    std::uint64_t workloads_run = 0;
    for (const auto &workload : choose(selection)) {
        for (const Short what : {Short::everything, Short::data, Short::metadata})
            NoSpace(what, workload, counts).run();
        ++workloads_run;
    }
    run_no_space_scenarios(selection.only, counts);
    return print_counts(counts, workloads_run, "refusals for want of space");
}

} // namespace daxpin::faults

int main(int argc, char **argv) {
    daxpin::faults::name_what_dies();
    daxpin::faults::Selection selection;
    if (argc > 1 && std::string_view(argv[1]) == "--all")
        selection.all = true;
    else if (argc > 1)
        selection.only = argv[1];
    return daxpin::faults::run_no_space(selection);
}
