// SPDX-License-Identifier: BSD-3-Clause
//
// crash-suite: crashes a volume everywhere and looks at what is left.
#include "crash/ace.h"
#include "crash/command_line.h"
#include "crash/fields.h"

#include <algorithm>
#include <cstdio>
#include <set>

using namespace daxpin::crash;

namespace {

// No workload may have more than a tenth of the states of a whole run.
constexpr std::uint64_t largest_share_divisor = 10;

struct Arguments {
    Plan plan;
    std::uint64_t least = 0;
    bool list_fields = false;
};

std::vector<CommandLine::Option> own_options(CommandLine &line, Arguments &arguments) {
    return {
        {"quick", "", "few states; for tests of the suite itself",
         [&](const char *) { line.runner.tier = Tier::quick; }},
        {"states", "N", "states at one crash point beyond the exhaustive ones",
         [&](const char *text) { arguments.plan.states.states_max = line.number(text); }},
        {"least", "N", "fail with fewer states, or if one workload has a tenth of them",
         [&](const char *text) { arguments.least = line.number(text); }},
        {"drop-field", "F", "take a field out of every record: the suite must notice",
         [&](const char *text) {
             const auto names = field_names();
             if (std::find(names.begin(), names.end(), text) == names.end())
                 line.refuse("no such field");
             arguments.plan.drop_field = text;
         }},
        {"list-fields", "", "the names of those fields",
         [&](const char *) { arguments.list_fields = true; }},
    };
}

int replay_one(const CommandLine &line, const Plan &plan) {
    for (const Unit &unit : chosen_units(units_of(line.runner.tier, plan), line.replay->workload,
                                         line.replay->start)) {
        const auto branches = unit.branches();
        if (std::any_of(branches.begin(), branches.end(), [&](const Workload &branch) {
                return branch.name == line.replay->workload;
            }))
            return line.replay_one(unit);
    }
    line.refuse("no such workload or start");
}

int list(const std::vector<Unit> &units) {
    std::set<std::string> images;
    std::set<std::string> names;
    for (const Unit &unit : units) {
        images.insert(to_string(unit.image));
        if (!names.insert(unit.name).second)
            continue;
        for (const Workload &workload : unit.branches())
            std::printf("workload %s\n", workload.name.c_str());
    }
    for (const std::string &image : images)
        std::printf("start %s\n", image.c_str());
    return 0;
}

int list_fields() {
    for (const auto &name : field_names())
        std::printf("%s\n", name.c_str());
    return 0;
}

void print(const Summary &summary, std::uint64_t seed, const RunEnd &end) {
    print_line("seed", seed);
    print_line("workloads", summary.workloads());
    print_counters(summary);
    const Summary::Share largest = summary.largest();
    print_line("states of the largest workload", largest.states, largest.workload);
    if (summary.builds() > 1)
        print_line("programs that wrote the log", summary.builds());
    print_end(summary, end);
}

// Whether the run was as large, and as evenly spread, as it must be.
bool is_enough(const Summary &summary, std::uint64_t least) {
    if (least == 0)
        return true;
    const std::uint64_t states = summary.counters().states;
    const Summary::Share largest = summary.largest();
    if (states < least)
        std::printf("FAILED: fewer than %llu states\n", static_cast<unsigned long long>(least));
    if (largest.states > states / largest_share_divisor)
        std::printf("FAILED: %s has more than a tenth of all states\n", largest.workload.c_str());
    return states >= least && largest.states <= states / largest_share_divisor;
}

} // namespace

int main(int argc, char **argv) {
    Arguments arguments;
    CommandLine line("crash-suite");
    line.add(own_options(line, arguments));
    line.parse(argc, argv);
    arguments.plan.seed = line.runner.seed;
    arguments.plan.stop_at_first = line.runner.stop_at_first;
    if (arguments.list_fields)
        return list_fields();
    if (line.replay)
        return replay_one(line, arguments.plan);
    const auto units =
        chosen_units(units_of(line.runner.tier, arguments.plan), line.only, line.start);
    if (units.empty())
        line.refuse("no such workload or start");
    if (line.list)
        return list(units);
    Summary summary;
    const RunEnd end = line.run(units, summary);
    print(summary, line.runner.seed, end);
    const bool enough = is_enough(summary, arguments.least);
    const int status = exit_status(summary, end);
    return status != 0 ? status : !enough;
}
