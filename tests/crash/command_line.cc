// SPDX-License-Identifier: BSD-3-Clause
#include "crash/command_line.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <getopt.h>
#include <iterator>

namespace daxpin::crash {

CommandLine::CommandLine(std::string program) : program_(std::move(program)) {
    add({
        {"seed", "N", "another choice of samples (default 1)",
         [this](const char *text) { runner.seed = number(text); }},
        {"only", "TEXT", "workloads whose name begins with TEXT",
         [this](const char *text) { only = text; }},
        {"start", "NAME", "one starting image: START[+wrap][+byte|+page]",
         [this](const char *text) {
             start = text;
             if (!parse_image(start))
                 refuse("no such start");
         }},
        {"jobs", "N", "processes (default 2)",
         [this](const char *text) {
             runner.processes = static_cast<unsigned>(std::max<std::uint64_t>(1, number(text)));
         }},
        {"long", "", "everything, and many more states of each workload; an hour and more",
         [this](const char *) { runner.tier = Tier::thorough; }},
        {"seconds", "N", "begin nothing more after so many seconds; what is left is counted",
         [this](const char *text) { runner.seconds_max = static_cast<double>(number(text)); }},
        {"log", "FILE", "append what is finished, as lines of JSON",
         [this](const char *text) { runner.log = text; }},
        {"resume", "", "leave out what the log has, and add it up",
         [this](const char *) { resume_ = true; }},
        {"stop", "", "end at the first violation",
         [this](const char *) { runner.stop_at_first = true; }},
        {"replay", "TOKEN", "exactly one state",
         [this](const char *text) {
             replay = parse_token(text);
             if (!replay)
                 refuse("that is no token");
         }},
        {"list", "", "names of workloads and starts", [this](const char *) { list = true; }},
        {"help", "", "this text",
         [this](const char *) {
             print_usage(stdout);
             std::exit(0);
         }},
    });
}

void CommandLine::add(std::vector<Option> own) {
    std::move(own.begin(), own.end(), std::back_inserter(options_));
}

void CommandLine::print_usage(std::FILE *to) const {
    std::fprintf(to, "usage: %s [options]\n", program_.c_str());
    for (const Option &option : options_) {
        const std::string left = option.name + (option.value.empty() ? "" : " ") + option.value;
        std::fprintf(to, "  --%-15s %s\n", left.c_str(), option.help.c_str());
    }
}

void CommandLine::refuse(const std::string &text) const {
    std::fprintf(stderr, "%s: %s\n", program_.c_str(), text.c_str());
    print_usage(stderr);
    std::exit(2);
}

std::uint64_t CommandLine::number(const char *text) const {
    char *end = nullptr;
    const std::uint64_t value = std::strtoull(text, &end, 10);
    if (end == text || *end != '\0')
        refuse(std::string(text) + " is no number");
    return value;
}

void CommandLine::parse(int argc, char **argv) {
    std::vector<option> table;
    for (const Option &option : options_)
        table.push_back({option.name.c_str(),
                         option.value.empty() ? no_argument : required_argument, nullptr, 0});
    table.push_back({});
    int index = 0;
    for (int found; (found = getopt_long(argc, argv, "", table.data(), &index)) != -1;) {
        if (found != 0)
            refuse("unknown option");
        options_[static_cast<std::size_t>(index)].set(optarg);
    }
    if (optind != argc)
        refuse("unexpected argument");
    if (resume_ && runner.log.empty())
        refuse("--resume without --log");
    runner.replay_command = argv[0];
    if (runner.tier != Tier::normal)
        runner.replay_command += std::string(" --") + to_string(runner.tier);
    runner.replay_command += " --replay";
}

RunEnd CommandLine::run(std::vector<Unit> units, Summary &summary) const {
    if (resume_)
        summary.load(runner.log, runner.seed, to_string(runner.tier));
    std::erase_if(units, [&](const Unit &unit) { return summary.is_done(unit.id()); });
    return run_units(units, runner, summary);
}

int CommandLine::replay_one(const Unit &unit) const {
    const Counters counters = crash::replay(unit, *replay, runner);
    std::printf("%s: %llu states, %llu violations\n", to_string(*replay).c_str(),
                static_cast<unsigned long long>(counters.states),
                static_cast<unsigned long long>(counters.violations));
    return counters.violations > 0;
}

void print_line(const char *title, std::uint64_t value, const std::string &more) {
    std::printf("%-44s %12llu%s%s\n", title, static_cast<unsigned long long>(value),
                more.empty() ? "" : "  ", more.c_str());
}

void print_counters(const Summary &summary) {
    for (const CounterField &field : counter_fields) {
        const std::uint64_t value = summary.counters().*field.value;
        if (value > 0 || field.value != &Counters::dropped_bytes)
            print_line(field.title, value);
    }
}

void print_end(const Summary &summary, const RunEnd &end) {
    print_line("units finished", summary.units());
    print_line("units left", end.left);
    std::printf("%-44s %12.1f\n", "seconds of processor time", summary.seconds());
    if (end.signal != 0)
        std::printf("interrupted (%s): %zu units were not run\n", strsignal(end.signal), end.left);
    else if (end.left > 0)
        std::printf("skipped: %zu units, for want of time\n", end.left);
}

int exit_status(const Summary &summary, const RunEnd &end) {
    if (summary.counters().violations > 0)
        return 1;
    if (end.signal != 0)
        return 128 + end.signal;
    if (summary.counters().states == 0) { // nothing was tested
        std::printf("FAILED: no state was recovered and checked\n");
        return 1;
    }
    return 0;
}

} // namespace daxpin::crash
