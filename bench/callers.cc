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
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

constexpr std::size_t block = 4096;
constexpr unsigned blocks = 64; // of a caller's file

[[noreturn]] void die(const std::string &what) {
    fmt::print(stderr, "callers: {}: {}\n", what, std::strerror(errno));
    std::exit(1);
}

int check(int result, const std::string &what) {
    if (result < 0)
        die(what);
    return result;
}

// What one caller works on, in a folder that it makes and removes.
class Place {
  public:
    explicit Place(const std::string &folder) : path_(folder + "/callers-XXXXXX") {
        if (mkdtemp(path_.data()) == nullptr)
            die(path_);
        folder_ = check(open(path_.c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC), path_);
        file_ = check(openat(folder_, "file", O_RDWR | O_CREAT | O_CLOEXEC, 0644), path_);
        bytes_.fill('x');
    }
    ~Place() {
        close(file_);
        close(folder_);
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Place(const Place &) = delete;
    Place &operator=(const Place &) = delete;

    void create_and_unlink(unsigned) {
        close(check(openat(folder_, "new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644), path_));
        check(unlinkat(folder_, "new", 0), path_);
    }
    void chmod(unsigned i) { check(fchmod(file_, i % 2 != 0 ? 0600 : 0644), path_); }
    void write(unsigned i) {
        if (pwrite(file_, bytes_.data(), block, static_cast<off_t>(i % blocks * block)) !=
            static_cast<ssize_t>(block))
            die(path_);
    }

  private:
    std::string path_;
    int folder_ = -1;
    int file_ = -1;
    std::array<char, block> bytes_;
};

struct Kind {
    const char *name;
    void (Place::*work)(unsigned);
};
constexpr std::array kinds{Kind{"create and unlink", &Place::create_and_unlink},
                           Kind{"chmod", &Place::chmod}, Kind{"write 4 KiB", &Place::write}};

// Thousands of items a second.
double run(const Kind &kind, const std::string &folder, unsigned callers,
           std::chrono::milliseconds time) {
    std::atomic<std::uint64_t> items{0};
    std::atomic<bool> begun{false}, ended{false};
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < callers; ++i)
        threads.emplace_back([&] {
            Place place(folder);
            begun.wait(false);
            unsigned done = 0;
            for (; !ended; ++done)
                (place.*kind.work)(done);
            items += done;
        });
    std::this_thread::sleep_for(std::chrono::milliseconds(20)); // by then all have their places
    const auto start = std::chrono::steady_clock::now();
    begun = true;
    begun.notify_all();
    std::this_thread::sleep_for(time);
    ended = true;
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    threads.clear();
    return static_cast<double>(items) / took.count();
}

double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::ranges::nth_element(values, middle);
    return *middle;
}

struct Folder {
    std::string name, path;
};

void measure(const Kind &kind, const std::vector<Folder> &folders, unsigned callers,
             std::chrono::milliseconds time, unsigned rounds) {
    std::vector<std::vector<double>> figures(folders.size());
    for (unsigned round = 0; round < rounds; ++round)
        for (std::size_t i = 0; i < folders.size(); ++i)
            figures[i].push_back(run(kind, folders[i].path, callers, time));
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
    std::vector<Folder> folders;
    for (const std::string &word : arguments.places) {
        const auto at = word.find('=');
        if (at == std::string::npos) {
            fmt::print(stderr, "callers: {}: not NAME=FOLDER\n", word);
            return 2;
        }
        folders.push_back({word.substr(0, at), word.substr(at + 1)});
    }
    fmt::print("{:20} {:>7}", "1000 a second", "callers");
    for (const Folder &folder : folders)
        fmt::print(" {:>19}", folder.name);
    fmt::print("\n");
    for (const Kind &kind : kinds)
        for (const unsigned callers : arguments.callers)
            measure(kind, folders, callers, std::chrono::milliseconds(arguments.ms),
                    arguments.rounds);
    return 0;
}
