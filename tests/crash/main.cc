// SPDX-License-Identifier: BSD-3-Clause
//
// crash-suite: crashes a volume everywhere and looks at what is left.
#include "crash/fields.h"
#include "crash/runner.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <getopt.h>

using namespace daxpin::crash;

namespace {

struct Arguments {
    RunnerOptions runner;
    std::string only;
    std::string start;
    std::optional<Token> replay;
    bool list = false;
    bool list_fields = false;
};

const char usage[] = "usage: crash-suite [options]\n"
                     "  --seed N         another choice of samples (default 1)\n"
                     "  --only TEXT      workloads whose name begins with TEXT\n"
                     "  --start NAME     one starting image\n"
                     "  --jobs N         processes (default 2)\n"
                     "  --states N       states at one crash point beyond the exhaustive ones\n"
                     "  --long           many more states and nested crashes\n"
                     "  --quick          few states; for tests of the suite itself\n"
                     "  --stop           end at the first violation\n"
                     "  --replay TOKEN   exactly one state\n"
                     "  --list           names of workloads and starts\n"
                     "  --drop-field F   take a field out of every record: the suite must notice\n"
                     "  --list-fields    the names of those fields\n";

[[noreturn]] void refuse(const char *text) {
    std::fprintf(stderr, "crash-suite: %s\n%s", text, usage);
    std::exit(2);
}

Arguments parse(int argc, char **argv) {
    static const option options[] = {{"seed", required_argument, nullptr, 's'},
                                     {"only", required_argument, nullptr, 'o'},
                                     {"start", required_argument, nullptr, 'a'},
                                     {"jobs", required_argument, nullptr, 'j'},
                                     {"states", required_argument, nullptr, 'n'},
                                     {"long", no_argument, nullptr, 'l'},
                                     {"quick", no_argument, nullptr, 'q'},
                                     {"stop", no_argument, nullptr, 'x'},
                                     {"replay", required_argument, nullptr, 'r'},
                                     {"list", no_argument, nullptr, 'L'},
                                     {"drop-field", required_argument, nullptr, 'd'},
                                     {"list-fields", no_argument, nullptr, 'D'},
                                     {nullptr, 0, nullptr, 0}};
    Arguments arguments;
    Plan &plan = arguments.runner.plan;
    for (int c; (c = getopt_long(argc, argv, "", options, nullptr)) != -1;) {
        switch (c) {
        case 's':
            plan.seed = std::strtoull(optarg, nullptr, 10);
            break;
        case 'o':
            arguments.only = optarg;
            break;
        case 'a':
            arguments.start = optarg;
            break;
        case 'j':
            arguments.runner.processes =
                static_cast<unsigned>(std::max(1L, std::strtol(optarg, nullptr, 10)));
            break;
        case 'n':
            plan.states.states_max = std::strtoull(optarg, nullptr, 10);
            break;
        case 'l':
            plan.states = {.exhaustive_bits = 12, .states_max = 2000, .random_samples = 500};
            plan.nested_states = {.exhaustive_bits = 6, .states_max = 64, .random_samples = 16};
            plan.nested_every = 4;
            break;
        case 'q':
            plan.states = {.exhaustive_bits = 2, .states_max = 6, .random_samples = 2};
            plan.nested_every = 512;
            break;
        case 'x':
            plan.stop_at_first = true;
            break;
        case 'r':
            arguments.replay = parse_token(optarg);
            if (!arguments.replay)
                refuse("that is no token");
            break;
        case 'L':
            arguments.list = true;
            break;
        case 'd':
            plan.drop_field = optarg;
            break;
        case 'D':
            arguments.list_fields = true;
            break;
        default:
            refuse("unknown option");
        }
    }
    if (optind != argc)
        refuse("unexpected argument");
    arguments.runner.replay_command = std::string(argv[0]) + " --replay";
    return arguments;
}

std::vector<Job> chosen_jobs(const Arguments &arguments) {
    std::vector<Job> jobs;
    for (const Workload &workload : workloads()) {
        for (const Start start : all_starts) {
            const bool has_start = workload.name != format_workload || start == Start::fresh ||
                                   start == Start::dirty || start == Start::two_devices;
            if (has_start && workload.name.starts_with(arguments.only) &&
                (arguments.start.empty() || arguments.start == to_string(start)))
                jobs.push_back({&workload, start});
        }
    }
    return jobs;
}

int replay_one(const Arguments &arguments) {
    const Token &token = *arguments.replay;
    for (const Job &job : chosen_jobs(arguments)) {
        if (job.workload->name != token.workload || to_string(job.start) != token.start)
            continue;
        const Counters counters = replay(job, token, arguments.runner);
        std::printf("%s: %llu states, %llu violations\n", to_string(token).c_str(),
                    static_cast<unsigned long long>(counters.states),
                    static_cast<unsigned long long>(counters.violations));
        return counters.violations > 0;
    }
    refuse("no such workload or start");
}

int list() {
    for (const Workload &workload : workloads())
        std::printf("workload %s\n", workload.name.c_str());
    for (const Start start : all_starts)
        std::printf("start %s\n", to_string(start));
    return 0;
}

void print(const Counters &counters, std::uint64_t seed, double seconds) {
    const auto line = [](const char *name, std::uint64_t value) {
        std::printf("%-44s %12llu\n", name, static_cast<unsigned long long>(value));
    };
    line("seed", seed);
    line("(workload, start) pairs", counters.workloads);
    line("(pair, crash point) pairs", counters.crash_points);
    line("states recovered and checked by fsck", counters.states);
    line("  of them crashed again in recovery", counters.nested_states);
    line("different metadata images", counters.metadata_images);
    line("states merged after recovery", counters.merged);
    line("states with every check", counters.full_checks);
    line("acknowledgements checked by rule", counters.acknowledgements);
    line("redundant flushes", counters.redundant_flushes);
    line("flushes of lines in flight already", counters.repeated_flushes);
    line("redundant drains", counters.redundant_drains);
    if (counters.dropped_bytes > 0)
        line("bytes of records dropped", counters.dropped_bytes);
    line("violations", counters.violations);
    std::printf("%-44s %12.1f\n", "seconds", seconds);
}

} // namespace

int main(int argc, char **argv) {
    const Arguments arguments = parse(argc, argv);
    if (arguments.list)
        return list();
    if (arguments.list_fields) {
        for (const auto &name : field_names())
            std::printf("%s\n", name.c_str());
        return 0;
    }
    const std::string &field = arguments.runner.plan.drop_field;
    const auto names = field_names();
    if (!field.empty() && std::find(names.begin(), names.end(), field) == names.end())
        refuse("no such field");
    if (arguments.replay)
        return replay_one(arguments);
    const auto jobs = chosen_jobs(arguments);
    if (jobs.empty())
        refuse("no such workload or start");
    const auto begin = std::chrono::steady_clock::now();
    const Counters counters = run_jobs(jobs, arguments.runner);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    print(counters, arguments.runner.plan.seed, took.count());
    return counters.violations > 0;
}
