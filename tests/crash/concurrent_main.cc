// SPDX-License-Identifier: BSD-3-Clause
//
// crash-threads: crashes a volume on which several threads are at work, and looks at what is left;
// and at what they were answered, without any crash.
#include "crash/command_line.h"
#include "crash/concurrent_workloads.h"

#include <cstdio>
#include <iterator>

using namespace daxpin::crash;

namespace {

constexpr std::uint64_t long_schedules = 500; // of each workload

// A schedule has many crash points: each gets a few states.
Plan plan_of(const RunnerOptions &runner, std::uint64_t seed) {
    Plan plan;
    plan.seed = seed;
    plan.stop_at_first = runner.stop_at_first;
    if (runner.tier == Tier::thorough) {
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
std::vector<Unit> chosen_units(const CommandLine &line, std::uint64_t schedules) {
    std::vector<Unit> units;
    std::uint64_t turn = 0;
    for (const Workload &workload : concurrent_workloads()) {
        const std::uint64_t first = turn++;
        if (!workload.name.starts_with(line.only))
            continue;
        for (std::uint64_t i = 0; i < schedules; ++i) {
            const char *image = concurrent_images[(first + i) % std::size(concurrent_images)];
            units.push_back(unit_of(workload, line.start.empty() ? image : line.start,
                                    plan_of(line.runner, line.runner.seed + i)));
        }
    }
    return units;
}

int replay_one(const CommandLine &line) {
    const Token &token = *line.replay;
    for (const Workload &workload : concurrent_workloads()) {
        if (workload.name == token.workload && parse_image(token.start))
            return line.replay_one(
                unit_of(workload, token.start, plan_of(line.runner, token.seed)));
    }
    line.refuse("no such workload or start");
}

int list() {
    for (const Workload &workload : concurrent_workloads())
        std::printf("workload %s (%zu threads)\n", workload.name.c_str(), workload.threads.size());
    for (const char *image : concurrent_images)
        std::printf("start %s\n", image);
    return 0;
}

void print(const Summary &summary, std::uint64_t seed, const RunEnd &end) {
    print_line("first seed", seed);
    print_line("workloads", summary.workloads());
    print_counters(summary);
    print_end(summary, end);
}

} // namespace

int main(int argc, char **argv) {
    std::uint64_t schedules = 0; // 0: as many as the tier has
    CommandLine line("crash-threads");
    line.add({{"schedules", "N", "of each workload, each with the next seed (default 10)",
               [&](const char *text) { schedules = line.number(text); }}});
    line.parse(argc, argv);
    if (schedules == 0)
        schedules =
            line.runner.tier == Tier::thorough ? long_schedules : std::size(concurrent_images);
    if (line.list)
        return list();
    if (line.replay)
        return replay_one(line);
    const auto units = chosen_units(line, schedules);
    if (units.empty())
        line.refuse("no such workload");
    Summary summary;
    const RunEnd end = line.run(units, summary);
    print(summary, line.runner.seed, end);
    return exit_status(summary, end);
}
