// SPDX-License-Identifier: BSD-3-Clause
//
// The generated workloads and what is kept of their results.
#include "base/unique_fd.h"
#include "crash/ace.h"
#include "crash/combined_workloads.h"
#include "crash/data_workloads.h"
#include "crash/explorer.h"
#include "crash/image.h"
#include "crash/summary.h"
#include "support/catch.h"

#include <cstdio>
#include <cstdlib>
#include <set>
#include <unistd.h>

using namespace daxpin::crash;

namespace {

std::vector<AceSequence> ace_sequences(std::size_t length) {
    std::vector<AceSequence> all;
    for (const AceSequence &prefix : ace_prefixes(length - 1)) {
        for (AceSequence &branch : ace_branches(prefix))
            all.push_back(std::move(branch));
    }
    return all;
}

UnitResult result_of(const std::string &unit, std::uint64_t states, std::uint64_t violations) {
    UnitResult result;
    result.unit = unit;
    result.seed = 1;
    result.tier = "long";
    result.build = "b";
    result.counters.states = states;
    result.counters.violations = violations;
    result.states["workload"] = states;
    return result;
}

} // namespace

TEST_CASE("ace: 56, 3,136 and 50,653 workloads, as Chipmunk's", "[crash]") {
    CHECK(ace_operation_count() == 56);
    CHECK(ace_sequences(1).size() == 56);
    CHECK(ace_sequences(2).size() == 56 * 56);
    CHECK(ace_sequences(3).size() == 37 * 37 * 37);
}

TEST_CASE("ace: no two workloads have a name in common", "[crash]") {
    std::set<std::string> names;
    for (std::size_t length = 1; length <= ace_length_max; ++length) {
        for (const AceSequence &sequence : ace_sequences(length))
            names.insert(ace_name(sequence));
    }
    CHECK(names.size() == 53845);
}

TEST_CASE("ace: what an operation needs is in the setup, itself in the steps", "[crash]") {
    for (const AceSequence &sequence : ace_sequences(2)) {
        const Workload workload = ace_workload(sequence);
        INFO(workload.name);
        const std::string last = workload.name.substr(workload.name.rfind('.'));
        // A removal is the unlink, and what the daemon does behind it.
        CHECK(workload.steps.size() == (last.starts_with(".remove-") ? 2 : 1));
    }
    const Workload first = ace_workload(ace_sequences(1)[0]);
    CHECK(first.name == "ace.create-foo");
    CHECK(first.setup.empty());
}

TEST_CASE("data workloads: names are unique, the workloads of a group begin alike", "[crash]") {
    std::set<std::string> names;
    std::size_t count = 0;
    for (const auto &group : data_workloads()) {
        for (const Workload &workload : group) {
            ++count;
            names.insert(workload.name);
            CHECK(workload.setup == group[0].setup);
        }
    }
    CHECK(names.size() == count);
    CHECK(count > 1000);
}

TEST_CASE("combined workloads: names are unique, the workloads of a group begin alike", "[crash]") {
    std::set<std::string> names;
    std::size_t count = 0;
    for (const auto &group : combined_workloads()) {
        for (const Workload &workload : group) {
            ++count;
            names.insert(workload.name);
            CHECK(workload.setup == group[0].setup);
        }
    }
    CHECK(names.size() == count);
    CHECK(count > 200);
}

TEST_CASE("image: every name is read back", "[crash]") {
    for (const auto domain : {daxpin::device::Domain::cache_line, daxpin::device::Domain::byte,
                              daxpin::device::Domain::page}) {
        for (const Image &image : all_images(domain))
            CHECK(parse_image(to_string(image)) == image);
    }
    CHECK(!parse_image("fresh+none"));
}

namespace {

std::vector<std::uint64_t> states_of(const std::vector<Workload> &branches, Counters &counters) {
    Explorer explorer({Start::dirty}, {}, counters,
                      {[](const Token &token, const std::string &text) {
                           FAIL_CHECK(to_string(token) << ": " << text);
                       },
                       [](const Token &) { return true; }});
    return explorer.run(branches, {});
}

} // namespace

TEST_CASE("explorer: a branch has the same crash states alone and among its siblings", "[crash]") {
    std::vector<Workload> branches;
    for (const AceSequence &sequence : ace_branches({9})) {
        if (branches.size() < 8)
            branches.push_back(ace_workload(sequence));
    }
    Counters together, alone;
    const auto states = states_of(branches, together);
    for (std::size_t i = 0; i < branches.size(); ++i) {
        INFO(branches[i].name);
        CHECK(states_of({branches[i]}, alone) == std::vector{states[i]});
    }
    CHECK(together.crash_points == alone.crash_points);
    CHECK(together.states == alone.states);
    CHECK(together.full_checks <= alone.full_checks);
}

TEST_CASE("units: a part of a unit has a name of its own", "[crash]") {
    const auto all = units_of(Tier::normal, {});
    const auto part = chosen_units(all, "ace.write-foo-append.rename-", "dirty");
    REQUIRE(part.size() == 1);
    CHECK(part[0].branches().size() == 16);
    const auto whole = chosen_units(all, "ace.write-foo-append.", "dirty");
    REQUIRE(whole.size() == 1);
    CHECK(whole[0].branches().size() == 56);
    CHECK(part[0].id() != whole[0].id());
    CHECK(whole[0].id() == "ace.write-foo-append.*@dirty");
}

TEST_CASE("summary: a later result of a unit counts instead of an earlier one", "[crash]") {
    Summary summary;
    summary.add(result_of("a", 10, 1));
    CHECK(!summary.is_done("a"));
    summary.add(result_of("b", 5, 0));
    summary.add(result_of("a", 20, 0));
    CHECK(summary.is_done("a"));
    CHECK(summary.counters().states == 25);
    CHECK(summary.counters().violations == 0);
    CHECK(summary.largest().states == 25);
}

TEST_CASE("log: what was cut short is no result, and spoils no later one", "[crash]") {
    std::string path = "/tmp/crash-log-XXXXXX";
    const daxpin::UniqueFd made(::mkstemp(path.data()));
    REQUIRE(made);
    {
        Log log(path);
        log.append(to_json(result_of("a", 10, 0)));
    }
    FILE *file = std::fopen(path.c_str(), "a");
    REQUIRE(file != nullptr);
    std::fputs("{\"unit\":\"b\",\"se", file);
    std::fclose(file);
    {
        Log log(path);
        log.append(to_json(result_of("c", 1, 0)));
    }
    Summary summary, other;
    summary.load(path, 1, "long");
    other.load(path, 2, "long");
    std::remove(path.c_str());
    CHECK(summary.is_done("a"));
    CHECK(!summary.has("b"));
    CHECK(summary.is_done("c"));
    CHECK(summary.counters().states == 11);
    CHECK(other.units() == 0);
}
