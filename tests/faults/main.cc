// SPDX-License-Identifier: BSD-3-Clause
//
// faults-suite: every bit of all metadata of a small volume flipped, one at a time; then pieces
// of 64 bytes and of 4 KiB lost to zeros, ones and garbage. See docs/testing.md.
#include "faults/trial.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>

namespace {

using namespace daxpin::faults;

constexpr const char *usage =
    "usage: faults-suite [--all | --sample N | --at BYTE] [--only PLACE] [--workers N] [--seed N]\n"
    "  --all       every bit and every piece; else every 200th bit and every 10th piece\n"
    "  --sample N  every N-th bit\n"
    "  --at BYTE   faults that begin at this byte of the device\n"
    "  --only      label, superblock, \"tail cell\", record, bitmap, node or blob\n";

constexpr std::uint64_t pieces_sample = 10;

struct Arguments {
    std::uint64_t sample = 200; // every so-many-th flip of a bit
    std::optional<std::uint64_t> at;
    unsigned workers = 2;
    std::uint64_t seed = 1;
    std::string only; // a place
};

[[noreturn]] void refuse(const char *why) {
    std::fprintf(stderr, "faults-suite: %s\n%s", why, usage);
    std::exit(2);
}

std::uint64_t number(const char *text) {
    char *end = nullptr;
    const std::uint64_t value = std::strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0')
        refuse("a number is needed");
    return value;
}

Arguments parse(int argc, char **argv) {
    Arguments arguments;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--all") {
            arguments.sample = 1;
            continue;
        }
        if (i + 1 == argc)
            refuse("an option is unknown or lacks its value");
        const char *value = argv[++i];
        if (word == "--sample")
            arguments.sample = std::max<std::uint64_t>(1, number(value));
        else if (word == "--workers")
            arguments.workers = static_cast<unsigned>(number(value));
        else if (word == "--seed")
            arguments.seed = number(value);
        else if (word == "--at")
            arguments.at = number(value);
        else if (word == "--only")
            arguments.only = value;
        else
            refuse("unknown option");
    }
    return arguments;
}

// Every n-th, beginning with one that the seed chooses.
std::vector<Fault> sampled(const std::vector<Fault> &faults, const Arguments &arguments,
                           std::uint64_t every) {
    std::vector<Fault> chosen;
    if (arguments.at) {
        std::ranges::copy_if(faults, std::back_inserter(chosen),
                             [&](const Fault &fault) { return fault.offset == *arguments.at; });
        return chosen;
    }
    for (std::size_t i = arguments.seed % every; i < faults.size(); i += every)
        if (arguments.only.empty() || arguments.only == to_string(faults[i].place))
            chosen.push_back(faults[i]);
    return chosen;
}

void print(const std::string &title, const Trial &trial, const Tally &tally, double seconds) {
    std::printf("\n%s: %llu faults, %llu problems, %.1f s\n", title.c_str(),
                static_cast<unsigned long long>(tally.faults),
                static_cast<unsigned long long>(tally.problems), seconds);
    std::printf("  %-12s", "");
    for (const auto &outcome : trial.outcomes)
        std::printf("%12s", outcome.c_str());
    std::printf("\n");
    for (unsigned place = 0; place < place_count; ++place) {
        std::uint64_t any = 0;
        for (const auto &row : tally.outcomes)
            any += row[place];
        if (any == 0)
            continue;
        std::printf("  %-12s", to_string(static_cast<Place>(place)));
        for (const auto &row : tally.outcomes)
            std::printf("%12llu", static_cast<unsigned long long>(row[place]));
        std::printf("\n");
    }
    std::fflush(stdout);
}

Tally run_and_print(const std::string &title, const Specimen &specimen,
                    const std::vector<Fault> &faults, const Trial &trial, unsigned workers) {
    RunOptions options;
    options.workers = workers;
    const auto begin = std::chrono::steady_clock::now();
    Tally tally = run(specimen, faults, trial, options);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    print(title, trial, tally, took.count());
    return tally;
}

} // namespace

int main(int argc, char **argv) {
    const Arguments arguments = parse(argc, argv);
    std::uint64_t passed = 0, failed = 0;
    for (const State state : {State::unmounted, State::crashed}) {
        const Specimen specimen = make_specimen(state, arguments.seed);
        const std::pair<std::string, std::vector<Fault>> kinds[] = {
            {"flipped bits", sampled(every_bit(specimen), arguments, arguments.sample)},
            {"pieces of 64 bytes", sampled(every_piece(specimen, 64), arguments,
                                           std::min(arguments.sample, pieces_sample))},
            {"blocks", sampled(every_piece(specimen, daxpin::block_size), arguments, 1)},
        };
        for (const Order order : {Order::look_first, Order::use_first}) {
            const Trial trial = make_trial(specimen, order);
            const char *first =
                order == Order::look_first ? ", looked at first: " : ", used first: ";
            for (const auto &[kind, faults] : kinds) {
                const Tally tally = run_and_print(to_string(state) + (first + kind), specimen,
                                                  faults, trial, arguments.workers);
                failed += tally.problems;
                passed += tally.faults - tally.problems;
            }
        }
    }
    std::printf("\n%llu passed, %llu failed, 0 skipped\n", static_cast<unsigned long long>(passed),
                static_cast<unsigned long long>(failed));
    return failed > 0;
}
