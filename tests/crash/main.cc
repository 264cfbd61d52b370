// SPDX-License-Identifier: BSD-3-Clause
//
// crash-suite: crashes a volume everywhere and looks at what is left.
#include "crash/ace.h"
#include "crash/fields.h"
#include "crash/runner.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <getopt.h>
#include <unistd.h>

using namespace daxpin::crash;

namespace {

// No workload may have more than a tenth of the states of a whole run.
constexpr std::uint64_t largest_share_divisor = 10;

struct Arguments {
    RunnerOptions runner;
    Plan plan;
    std::string only;
    std::string start;
    std::optional<Token> replay;
    std::uint64_t least = 0;
    bool resume = false;
    bool list = false;
    bool list_fields = false;
};

const char usage[] =
    "usage: crash-suite [options]\n"
    "  --seed N         another choice of samples (default 1)\n"
    "  --only TEXT      workloads whose name begins with TEXT\n"
    "  --start NAME     one starting image: START[+wrap][+byte|+page]\n"
    "  --jobs N         processes (default 2)\n"
    "  --states N       states at one crash point beyond the exhaustive ones\n"
    "  --long           all of ACE, many more states and nested crashes; hours\n"
    "  --quick          few states; for tests of the suite itself\n"
    "  --seconds N      begin nothing more after so many seconds; what is left is counted\n"
    "  --least N        fail with fewer states, or if one workload has a tenth of them\n"
    "  --log FILE       append what is finished, as lines of JSON\n"
    "  --resume         leave out what the log has, and add it up\n"
    "  --stop           end at the first violation\n"
    "  --replay TOKEN   exactly one state\n"
    "  --list           names of workloads and starts\n"
    "  --drop-field F   take a field out of every record: the suite must notice\n"
    "  --list-fields    the names of those fields\n";

[[noreturn]] void refuse(const char *text) {
    std::fprintf(stderr, "crash-suite: %s\n%s", text, usage);
    std::exit(2);
}

const option options[] = {{"seed", required_argument, nullptr, 's'},
                          {"only", required_argument, nullptr, 'o'},
                          {"start", required_argument, nullptr, 'a'},
                          {"jobs", required_argument, nullptr, 'j'},
                          {"states", required_argument, nullptr, 'n'},
                          {"long", no_argument, nullptr, 'l'},
                          {"quick", no_argument, nullptr, 'q'},
                          {"seconds", required_argument, nullptr, 't'},
                          {"least", required_argument, nullptr, 'm'},
                          {"log", required_argument, nullptr, 'f'},
                          {"resume", no_argument, nullptr, 'R'},
                          {"stop", no_argument, nullptr, 'x'},
                          {"replay", required_argument, nullptr, 'r'},
                          {"list", no_argument, nullptr, 'L'},
                          {"drop-field", required_argument, nullptr, 'd'},
                          {"list-fields", no_argument, nullptr, 'D'},
                          {nullptr, 0, nullptr, 0}};

std::uint64_t number(const char *text) {
    char *end = nullptr;
    const std::uint64_t value = std::strtoull(text, &end, 10);
    if (end == text || *end != '\0')
        refuse("that is no number");
    return value;
}

// Options that choose what is run; false if `letter` is none of them.
bool choose(Arguments &arguments, int letter) {
    switch (letter) {
    case 's':
        arguments.plan.seed = number(optarg);
        return true;
    case 'o':
        arguments.only = optarg;
        return true;
    case 'a':
        arguments.start = optarg;
        return true;
    case 'n':
        arguments.plan.states.states_max = number(optarg);
        return true;
    case 'l':
        arguments.runner.tier = Tier::thorough;
        return true;
    case 'q':
        arguments.runner.tier = Tier::quick;
        return true;
    case 'r':
        arguments.replay = parse_token(optarg);
        if (!arguments.replay)
            refuse("that is no token");
        return true;
    case 'd':
        arguments.plan.drop_field = optarg;
        return true;
    default:
        return false;
    }
}

// Options that say how.
void set(Arguments &arguments, int letter) {
    switch (letter) {
    case 'j':
        arguments.runner.processes =
            static_cast<unsigned>(std::max<std::uint64_t>(1, number(optarg)));
        break;
    case 't':
        arguments.runner.seconds_max = static_cast<double>(number(optarg));
        break;
    case 'm':
        arguments.least = number(optarg);
        break;
    case 'f':
        arguments.runner.log = optarg;
        break;
    case 'R':
        arguments.resume = true;
        break;
    case 'x':
        arguments.plan.stop_at_first = arguments.runner.stop_at_first = true;
        break;
    case 'L':
        arguments.list = true;
        break;
    case 'D':
        arguments.list_fields = true;
        break;
    default:
        refuse("unknown option");
    }
}

Arguments parse(int argc, char **argv) {
    Arguments arguments;
    for (int letter; (letter = getopt_long(argc, argv, "", options, nullptr)) != -1;) {
        if (!choose(arguments, letter))
            set(arguments, letter);
    }
    if (optind != argc)
        refuse("unexpected argument");
    if (arguments.resume && arguments.runner.log.empty())
        refuse("--resume without --log");
    const std::string &field = arguments.plan.drop_field;
    const auto names = field_names();
    if (!field.empty() && std::find(names.begin(), names.end(), field) == names.end())
        refuse("no such field");
    arguments.runner.seed = arguments.plan.seed;
    arguments.runner.replay_command = std::string(argv[0]);
    if (arguments.runner.tier != Tier::normal)
        arguments.runner.replay_command += std::string(" --") + to_string(arguments.runner.tier);
    arguments.runner.replay_command += " --replay";
    return arguments;
}

int replay_one(const Arguments &arguments) {
    const Token &token = *arguments.replay;
    for (const Unit &unit : chosen_units(units_of(arguments.runner.tier, arguments.plan),
                                         token.workload, token.start)) {
        const auto branches = unit.branches();
        if (std::none_of(branches.begin(), branches.end(),
                         [&](const Workload &branch) { return branch.name == token.workload; }))
            continue;
        const Counters counters = replay(unit, token, arguments.runner);
        std::printf("%s: %llu states, %llu violations\n", to_string(token).c_str(),
                    static_cast<unsigned long long>(counters.states),
                    static_cast<unsigned long long>(counters.violations));
        return counters.violations > 0;
    }
    refuse("no such workload or start");
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

void print(const char *title, std::uint64_t value, const std::string &more = {}) {
    std::printf("%-44s %12llu%s%s\n", title, static_cast<unsigned long long>(value),
                more.empty() ? "" : "  ", more.c_str());
}

void print(const Summary &summary, const Arguments &arguments, std::size_t left) {
    print("seed", arguments.plan.seed);
    print("workloads", summary.workloads());
    for (const CounterField &field : counter_fields) {
        const std::uint64_t value = summary.counters().*field.value;
        if (value > 0 || field.value != &Counters::dropped_bytes)
            print(field.title, value);
    }
    const Summary::Share largest = summary.largest();
    print("states of the largest workload", largest.states, largest.workload);
    if (summary.builds() > 1)
        print("programs that wrote the log", summary.builds());
    print("units finished", summary.units());
    print("units left", left);
    std::printf("%-44s %12.1f\n", "seconds of processor time", summary.seconds());
    if (left > 0)
        std::printf("skipped: %zu units of work: no time, or interrupted\n", left);
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
    const Arguments arguments = parse(argc, argv);
    if (arguments.list_fields)
        return list_fields();
    if (arguments.replay)
        return replay_one(arguments);
    auto units = chosen_units(units_of(arguments.runner.tier, arguments.plan), arguments.only,
                              arguments.start);
    if (units.empty())
        refuse("no such workload or start");
    if (arguments.list)
        return list(units);
    Summary summary;
    if (arguments.resume)
        summary.load(arguments.runner.log, arguments.plan.seed, to_string(arguments.runner.tier));
    std::erase_if(units, [&](const Unit &unit) { return summary.is_done(unit.id()); });
    const std::size_t left = run_units(units, arguments.runner, summary);
    print(summary, arguments, left);
    return summary.counters().violations > 0 || !is_enough(summary, arguments.least);
}
