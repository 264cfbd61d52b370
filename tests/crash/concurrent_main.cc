// SPDX-License-Identifier: BSD-3-Clause
//
// crash-threads: crashes a volume on which several threads are at work, and looks at what is left;
// and at what they were answered, without any crash.
#include "crash/concurrent_workloads.h"
#include "crash/runner.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <getopt.h>
#include <iterator>

using namespace daxpin::crash;

namespace {

struct Arguments {
    RunnerOptions runner;
    std::uint64_t seed = 1;
    std::uint64_t schedules = std::size(concurrent_images); // of each workload
    std::string only;
    std::string start;
    std::optional<Token> replay;
    bool resume = false;
    bool list = false;
};

const char usage[] = "usage: crash-threads [options]\n"
                     "  --seed N         the first schedule (default 1)\n"
                     "  --schedules N    of each workload, each with the next seed (default 10)\n"
                     "  --only TEXT      workloads whose name begins with TEXT\n"
                     "  --start NAME     one starting image (default: in turn)\n"
                     "  --jobs N         processes (default 2)\n"
                     "  --long           500 schedules, many more states of each; hours\n"
                     "  --seconds N      begin nothing more after so many seconds\n"
                     "  --log FILE       append what is finished, as lines of JSON\n"
                     "  --resume         leave out what the log has, and add it up\n"
                     "  --stop           end at the first violation\n"
                     "  --replay TOKEN   exactly one state\n"
                     "  --list           names of workloads and starts\n";

[[noreturn]] void refuse(const char *text) {
    std::fprintf(stderr, "crash-threads: %s\n%s", text, usage);
    std::exit(2);
}

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
        arguments.seed = number(optarg);
        return true;
    case 'n':
        arguments.schedules = number(optarg);
        return true;
    case 'o':
        arguments.only = optarg;
        return true;
    case 'a':
        arguments.start = optarg;
        if (!parse_image(arguments.start))
            refuse("no such start");
        return true;
    case 'l':
        arguments.runner.tier = Tier::thorough;
        arguments.schedules = 500;
        return true;
    case 'r':
        arguments.replay = parse_token(optarg);
        if (!arguments.replay)
            refuse("that is no token");
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
    case 'f':
        arguments.runner.log = optarg;
        break;
    case 'R':
        arguments.resume = true;
        break;
    case 'x':
        arguments.runner.stop_at_first = true;
        break;
    case 'L':
        arguments.list = true;
        break;
    default:
        refuse("unknown option");
    }
}

const option options[] = {{"seed", required_argument, nullptr, 's'},
                          {"schedules", required_argument, nullptr, 'n'},
                          {"only", required_argument, nullptr, 'o'},
                          {"start", required_argument, nullptr, 'a'},
                          {"jobs", required_argument, nullptr, 'j'},
                          {"long", no_argument, nullptr, 'l'},
                          {"seconds", required_argument, nullptr, 't'},
                          {"log", required_argument, nullptr, 'f'},
                          {"resume", no_argument, nullptr, 'R'},
                          {"stop", no_argument, nullptr, 'x'},
                          {"replay", required_argument, nullptr, 'r'},
                          {"list", no_argument, nullptr, 'L'},
                          {nullptr, 0, nullptr, 0}};

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
    arguments.runner.seed = arguments.seed;
    arguments.runner.replay_command = std::string(argv[0]);
    if (arguments.runner.tier == Tier::thorough)
        arguments.runner.replay_command += " --long";
    arguments.runner.replay_command += " --replay";
    return arguments;
}

// A schedule has many crash points: each gets a few states.
Plan plan_of(const Arguments &arguments, std::uint64_t seed) {
    Plan plan;
    plan.seed = seed;
    plan.stop_at_first = arguments.runner.stop_at_first;
    if (arguments.runner.tier == Tier::thorough) {
        plan.states = {.exhaustive_bits = 5, .states_max = 64, .random_samples = 16};
        plan.nested_states = {.exhaustive_bits = 3, .states_max = 16, .random_samples = 4};
        plan.nested_every = 64;
        return plan;
    }
    plan.states = {.exhaustive_bits = 1, .states_max = 4, .random_samples = 2};
    plan.nested_states = {.exhaustive_bits = 1, .states_max = 3, .random_samples = 1};
    plan.nested_every = 512;
    plan.stores_every = 4;
    return plan;
}

Unit unit_of(const Workload &workload, const std::string &image, const Plan &plan) {
    return {workload.name + "#" + std::to_string(plan.seed), *parse_image(image), plan,
            [&workload] { return std::vector<Workload>{workload}; }};
}

// Each schedule of a workload begins on the next starting image.
std::vector<Unit> chosen_units(const Arguments &arguments) {
    std::vector<Unit> units;
    std::uint64_t turn = 0;
    for (const Workload &workload : concurrent_workloads()) {
        const std::uint64_t first = turn++;
        if (!workload.name.starts_with(arguments.only))
            continue;
        for (std::uint64_t i = 0; i < arguments.schedules; ++i) {
            const char *image = concurrent_images[(first + i) % std::size(concurrent_images)];
            units.push_back(unit_of(workload, arguments.start.empty() ? image : arguments.start,
                                    plan_of(arguments, arguments.seed + i)));
        }
    }
    return units;
}

int replay_one(const Arguments &arguments) {
    const Token &token = *arguments.replay;
    for (const Workload &workload : concurrent_workloads()) {
        if (workload.name != token.workload || !parse_image(token.start))
            continue;
        const Unit unit = unit_of(workload, token.start, plan_of(arguments, token.seed));
        const Counters counters = replay(unit, token, arguments.runner);
        std::printf("%s: %llu states, %llu violations\n", to_string(token).c_str(),
                    static_cast<unsigned long long>(counters.states),
                    static_cast<unsigned long long>(counters.violations));
        return counters.violations > 0;
    }
    refuse("no such workload or start");
}

int list() {
    for (const Workload &workload : concurrent_workloads())
        std::printf("workload %s (%zu threads)\n", workload.name.c_str(), workload.threads.size());
    for (const char *image : concurrent_images)
        std::printf("start %s\n", image);
    return 0;
}

void print(const Summary &summary, const Arguments &arguments, std::size_t left) {
    const auto line = [](const char *name, std::uint64_t value) {
        std::printf("%-44s %12llu\n", name, static_cast<unsigned long long>(value));
    };
    line("first seed", arguments.seed);
    line("workloads", summary.workloads());
    line("schedules", summary.units());
    for (const CounterField &field : counter_fields) {
        const std::uint64_t value = summary.counters().*field.value;
        if (value > 0 || field.value != &Counters::dropped_bytes)
            line(field.title, value);
    }
    line("units left", left);
    std::printf("%-44s %12.1f\n", "seconds of processor time", summary.seconds());
    if (left > 0)
        std::printf("skipped: %zu schedules, for want of time\n", left);
}

} // namespace

int main(int argc, char **argv) {
    const Arguments arguments = parse(argc, argv);
    if (arguments.list)
        return list();
    if (arguments.replay)
        return replay_one(arguments);
    auto units = chosen_units(arguments);
    if (units.empty())
        refuse("no such workload");
    Summary summary;
    if (arguments.resume)
        summary.load(arguments.runner.log, arguments.seed, to_string(arguments.runner.tier));
    std::erase_if(units, [&](const Unit &unit) { return summary.is_done(unit.id()); });
    const std::size_t left = run_units(units, arguments.runner, summary);
    print(summary, arguments, left);
    return summary.counters().violations > 0;
}
