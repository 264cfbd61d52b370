// SPDX-License-Identifier: BSD-3-Clause
//
// faults-suite: every bit of all metadata of a small volume flipped, one at a time; then pieces
// of 64 bytes and of 4 KiB lost to zeros, ones and garbage, and blocks that are what they were at
// an earlier moment. What the engine makes of each, and what a repair does. See docs/testing.md.
#include "faults/ledger.h"
#include "faults/repair_trial.h"
#include "faults/trial.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <unistd.h>

namespace {

using namespace daxpin::faults;

constexpr const char *usage =
    "usage: faults-suite [options]\n"
    "  --all              every bit and every piece; else every 200th bit, every 10th piece\n"
    "  --sample N         every N-th bit\n"
    "  --at DEVICE:BYTE   faults that begin at this byte\n"
    "  --half NAME        engine: mount and use; repair: fsck\n"
    "  --shape NAME       unmounted, crashed; \"unmounted, two devices\" and so on\n"
    "  --only PLACE       label, superblock, \"tail cell\", record, bitmap, node or blob\n"
    "  --workers N        processes (default 2)\n"
    "  --seed N           another volume, and another sample\n"
    "  --log FILE         append what is finished, as lines of JSON\n"
    "  --resume           leave out what the log has, and add it up\n";

constexpr std::uint64_t pieces_sample = 10;
constexpr std::uint64_t two_devices_sample = 5; // more sparsely: the metadata are much the same
constexpr std::uint64_t faults_per_piece = 2'000;

struct Position {
    std::uint64_t device;
    std::uint64_t offset;
};

struct Arguments {
    std::uint64_t sample = 200; // every so-many-th flip of a bit
    std::optional<Position> at;
    unsigned workers = 2;
    std::uint64_t seed = 1;
    std::string half;
    std::string shape;
    std::string only; // a place
    std::string log;
    bool resume = false;
};

[[noreturn]] void refuse(const char *why) {
    std::fprintf(stderr, "faults-suite: %s\n%s", why, usage);
    std::exit(2);
}

std::uint64_t number(const std::string &text) {
    char *end = nullptr;
    const std::uint64_t value = std::strtoull(text.c_str(), &end, 10);
    if (text.empty() || *end != '\0')
        refuse("a number is needed");
    return value;
}

Position position(const std::string &text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string::npos)
        refuse("a place is DEVICE:BYTE");
    return {number(text.substr(0, colon)), number(text.substr(colon + 1))};
}

bool set(Arguments &arguments, const std::string &word, const std::string &value) {
    if (word == "--sample")
        arguments.sample = std::max<std::uint64_t>(1, number(value));
    else if (word == "--workers")
        arguments.workers = static_cast<unsigned>(number(value));
    else if (word == "--seed")
        arguments.seed = number(value);
    else if (word == "--at")
        arguments.at = position(value);
    else if (word == "--half")
        arguments.half = value;
    else if (word == "--shape")
        arguments.shape = value;
    else if (word == "--only")
        arguments.only = value;
    else if (word == "--log")
        arguments.log = value;
    else
        return false;
    return true;
}

Arguments parse(int argc, char **argv) {
    Arguments arguments;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--all")
            arguments.sample = 1;
        else if (word == "--resume")
            arguments.resume = true;
        else if (i + 1 == argc || !set(arguments, word, argv[++i]))
            refuse("an option is unknown or lacks its value");
    }
    if (arguments.resume && arguments.log.empty())
        refuse("--resume without --log");
    if (!arguments.half.empty() && arguments.half != "engine" && arguments.half != "repair")
        refuse("there is no such half");
    return arguments;
}

// Every n-th, beginning with one that the seed chooses.
std::vector<Fault> sampled(const std::vector<Fault> &faults, const Arguments &arguments,
                           std::uint64_t every) {
    std::vector<Fault> chosen;
    if (arguments.at) {
        std::ranges::copy_if(faults, std::back_inserter(chosen), [&](const Fault &fault) {
            return fault.device == arguments.at->device && fault.offset == arguments.at->offset;
        });
        return chosen;
    }
    for (std::size_t i = arguments.seed % every; i < faults.size(); i += every)
        if (arguments.only.empty() || arguments.only == to_string(faults[i].place))
            chosen.push_back(faults[i]);
    return chosen;
}

struct Kind {
    const char *name;
    std::vector<Fault> faults;
};

std::vector<Kind> kinds_of(const Specimen &specimen, const Arguments &arguments) {
    const bool all = arguments.sample == 1;
    const std::uint64_t rarer = all || specimen.options.size() == 1 ? 1 : two_devices_sample;
    const std::uint64_t pieces = std::min(arguments.sample, pieces_sample) * rarer;
    return {
        {"flipped bits", sampled(every_bit(specimen), arguments, arguments.sample * rarer)},
        {"pieces of 64 bytes", sampled(every_piece(specimen, 64), arguments, pieces)},
        {"blocks", sampled(every_piece(specimen, daxpin::block_size), arguments, 1)},
        {"older blocks", sampled(every_older_block(specimen), arguments, 1)},
    };
}

struct NamedTrial {
    const char *name;
    Trial trial;
};

std::vector<NamedTrial> trials_of(const Specimen &specimen, const Arguments &arguments) {
    std::vector<NamedTrial> trials;
    if (arguments.half != "repair") {
        trials.push_back({"looked at first", make_trial(specimen, Order::look_first)});
        trials.push_back({"used first", make_trial(specimen, Order::use_first)});
    }
    if (arguments.half != "engine")
        trials.push_back({"repaired", make_repair_trial(specimen)});
    return trials;
}

void add(Tally &sum, const Tally &more) {
    sum.outcomes.resize(more.outcomes.size());
    for (std::size_t i = 0; i < more.outcomes.size(); ++i)
        for (unsigned place = 0; place < place_count; ++place)
            sum.outcomes[i][place] += more.outcomes[i][place];
    sum.faults += more.faults;
    sum.problems += more.problems;
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

class Runner {
  public:
    explicit Runner(const Arguments &arguments)
        : arguments_(arguments), ledger_(arguments.log,
                                         "seed " + std::to_string(arguments.seed) + ", every " +
                                             std::to_string(arguments.sample) + ".",
                                         arguments.resume) {}

    void run(const Specimen &specimen) {
        const auto kinds = kinds_of(specimen, arguments_);
        for (const auto &[name, trial] : trials_of(specimen, arguments_))
            for (const auto &[kind, faults] : kinds)
                if (!faults.empty())
                    run_section(specimen.name + ", " + name + ": " + kind, specimen, faults, trial);
    }

    std::uint64_t passed = 0;
    std::uint64_t failed = 0;

  private:
    using Clock = std::chrono::steady_clock;

    static double seconds_since(Clock::time_point begin) {
        return std::chrono::duration<double>(Clock::now() - begin).count();
    }

    void run_section(const std::string &title, const Specimen &specimen,
                     const std::vector<Fault> &faults, const Trial &trial) {
        const auto begin = Clock::now();
        Tally sum;
        for (std::size_t i = 0; i < faults.size(); i += faults_per_piece) {
            const Piece piece{title, i, faults.size()};
            const std::size_t end = std::min<std::size_t>(i + faults_per_piece, faults.size());
            add(sum, run_piece(piece, specimen, {faults.begin() + i, faults.begin() + end}, trial));
            show_progress(piece, end, sum.problems);
        }
        print(title, trial, sum, seconds_since(begin));
        failed += sum.problems;
        passed += sum.faults - sum.problems;
    }

    Tally run_piece(const Piece &piece, const Specimen &specimen, const std::vector<Fault> &faults,
                    const Trial &trial) {
        if (auto known = ledger_.find(piece))
            return std::move(*known);
        const auto begin = Clock::now();
        RunOptions options;
        options.workers = arguments_.workers;
        Tally tally = daxpin::faults::run(specimen, faults, trial, options);
        ledger_.add(piece, tally, seconds_since(begin));
        return tally;
    }

    // In place on a terminal; otherwise only while it takes long.
    void show_progress(const Piece &piece, std::size_t done, std::uint64_t problems) {
        const bool terminal = ::isatty(STDERR_FILENO) != 0;
        if (piece.count > faults_per_piece && (terminal || seconds_since(shown_) > 60)) {
            std::fprintf(stderr, "%s%s: %zu of %llu, %llu problems%s", terminal ? "\r\033[K" : "",
                         piece.section.c_str(), done, static_cast<unsigned long long>(piece.count),
                         static_cast<unsigned long long>(problems),
                         terminal && done < piece.count ? "" : "\n");
            shown_ = Clock::now();
        }
    }

    const Arguments arguments_;
    Ledger ledger_;
    Clock::time_point shown_ = Clock::now();
};

} // namespace

int main(int argc, char **argv) {
    const Arguments arguments = parse(argc, argv);
    Runner runner(arguments);
    for (const unsigned data_devices : {0U, 1U})
        for (const State state : {State::unmounted, State::crashed}) {
            const Shape shape{state, data_devices};
            if (arguments.shape.empty() || arguments.shape == to_string(shape))
                runner.run(make_specimen(shape, arguments.seed));
        }
    std::printf("\n%llu passed, %llu failed, 0 skipped\n",
                static_cast<unsigned long long>(runner.passed),
                static_cast<unsigned long long>(runner.failed));
    return runner.failed > 0 || runner.passed == 0;
}
