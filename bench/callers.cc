// SPDX-License-Identifier: BSD-3-Clause
//
// What several callers at a time get done through mounted filesystems, side by side.
//
//   build-release/bench/callers [--callers N,N,...] [--ms N] [--rounds N] NAME=FOLDER ...
//
// Each caller is a thread with a folder and a file of its own. In each round every number of
// callers does every kind of work on every folder in turn, for so many milliseconds. The table
// shows the median over rounds, in thousands of items a second of all callers together, and its
// ratio to the first folder: above 1 is more. Everything on one processor: taskset -c 0, for the
// daemons, too.
#include "figures.h"
#include "mounts.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <latch>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using namespace daxpin::bench;

constexpr std::size_t block = 4096;
constexpr unsigned blocks = 64; // of a caller's file

// What one caller works on.
class Place {
  public:
    explicit Place(const NamedFolder &where)
        : where_(where.name), folder_(where.path),
          file_(check(openat(folder_.fd(), "file", O_RDWR | O_CREAT | O_CLOEXEC, 0644), where_)) {
        bytes_.fill('x');
    }
    ~Place() { close(file_); }
    Place(const Place &) = delete;
    Place &operator=(const Place &) = delete;

    void create_and_unlink(unsigned) {
        constexpr int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
        close(check(openat(folder_.fd(), "new", flags, 0644), where_));
        check(unlinkat(folder_.fd(), "new", 0), where_);
    }
    void chmod(unsigned i) { check(fchmod(file_, i % 2 != 0 ? 0600 : 0644), where_); }
    void write(unsigned i) {
        if (pwrite(file_, bytes_.data(), block, static_cast<off_t>(i % blocks * block)) !=
            static_cast<ssize_t>(block))
            die(where_);
    }

  private:
    std::string where_;
    OwnFolder folder_;
    int file_;
    std::array<char, block> bytes_;
};

struct Kind {
    const char *name;
    void (Place::*work)(unsigned);
};
constexpr std::array kinds{Kind{"create and unlink", &Place::create_and_unlink},
                           Kind{"chmod", &Place::chmod}, Kind{"write 4 KiB", &Place::write}};

// Thousands of items a second.
double run(const Kind &kind, const NamedFolder &folder, unsigned callers,
           std::chrono::milliseconds time) {
    std::atomic<std::uint64_t> items{0};
    std::atomic<bool> ended{false};
    std::latch ready(callers + 1);
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < callers; ++i)
        threads.emplace_back([&] {
            Place place(folder);
            ready.arrive_and_wait();
            unsigned done = 0;
            for (; !ended; ++done)
                (place.*kind.work)(done);
            items += done;
        });
    ready.arrive_and_wait();
    const auto start = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(time);
    ended = true;
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    threads.clear();
    return static_cast<double>(items) / took.count();
}

void measure(const Kind &kind, const std::vector<NamedFolder> &folders, unsigned callers,
             std::chrono::milliseconds time, unsigned rounds) {
    std::vector<std::vector<double>> figures(folders.size());
    for (unsigned round = 0; round < rounds; ++round)
        for (std::size_t i = 0; i < folders.size(); ++i)
            figures[i].push_back(run(kind, folders[i], callers, time));
    fmt::print("{:20} {:>7}", kind.name, callers);
    for (const auto &own : figures)
        fmt::print(" {:>12.1f} ({:.2f})", median(own), median(own) / median(figures[0]));
    fmt::print("\n");
    std::fflush(stdout);
}

struct Arguments {
    std::vector<unsigned> callers{1, 2, 4, 8};
    unsigned ms = 300;
    unsigned rounds = 5;
    std::vector<std::string> places;
};

Arguments parse(int argc, char **argv) {
    CLI::App app{"what several callers at a time get done through mounted filesystems", "callers"};
    Arguments arguments;
    app.add_option("--callers", arguments.callers, "how many at a time: N,N,...")
        ->delimiter(',')
        ->check(CLI::Range(1U, 1000U));
    app.add_option("--ms", arguments.ms, "of each measurement")->check(CLI::Range(1U, 60'000U));
    app.add_option("--rounds", arguments.rounds)->check(CLI::Range(1U, 10'000U));
    app.add_option("place", arguments.places, "NAME=FOLDER")->required();
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError &error) {
        std::exit(app.exit(error) == 0 ? 0 : 2);
    }
    return arguments;
}

} // namespace

int main(int argc, char **argv) {
    const Arguments arguments = parse(argc, argv);
    const std::vector<NamedFolder> folders = parse_folders(arguments.places);
    fmt::print("{:20} {:>7}", "1000 a second", "callers");
    for (const NamedFolder &folder : folders)
        fmt::print(" {:>19}", folder.name);
    fmt::print("\n");
    for (const Kind &kind : kinds)
        for (const unsigned callers : arguments.callers)
            measure(kind, folders, callers, std::chrono::milliseconds(arguments.ms),
                    arguments.rounds);
    return 0;
}
