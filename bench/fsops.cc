// SPDX-License-Identifier: BSD-3-Clause
//
// Latency of single calls through mounted filesystems, side by side.
//
//   build-release/bench/fsops [--calls N] [--rounds N] [--only TEXT] [--json FILE] NAME=FOLDER ...
//
// In each round every call is timed on every folder in turn, so that noise hits all alike. The
// table shows the median over rounds of each round's median, in microseconds, and its ratio to the
// first folder. One thread; names and data are this program's own, in a folder that it makes and
// removes. A call that a filesystem does not have is shown as "-".
#include "mounts.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace {

using namespace daxpin::bench;

constexpr std::size_t small = 4096;
constexpr std::size_t large = 1 << 20;
constexpr std::size_t file_bytes = 16 * large; // of what is read and overwritten

// Aligned as O_DIRECT wants it.
struct Buffer {
    alignas(small) std::array<char, large> bytes;
};

Buffer &buffer() {
    static Buffer one = [] {
        Buffer filled;
        filled.bytes.fill('x');
        return filled;
    }();
    return one;
}

void write_all(int fd, std::size_t length, std::size_t offset, const std::string &where) {
    if (pwrite(fd, buffer().bytes.data(), length, static_cast<off_t>(offset)) !=
        static_cast<ssize_t>(length))
        die(where + ": pwrite");
}

void read_all(int fd, std::size_t length, std::size_t offset, const std::string &where) {
    if (pread(fd, buffer().bytes.data(), length, static_cast<off_t>(offset)) !=
        static_cast<ssize_t>(length))
        die(where + ": pread");
}

// A folder of our own on one of the filesystems.
class Place {
  public:
    explicit Place(const NamedFolder &where) : name_(where.name), folder_(where.path) {}

    const std::string &name() const { return name_; }
    int folder() const { return folder_.fd(); }

    int open_file(const std::string &file, int flags) const {
        return check(openat(folder(), file.c_str(), flags | O_CLOEXEC, 0644), where(file));
    }
    // A file of file_bytes, made once.
    int filled_file(int flags = 0) const {
        const int fd = open_file("filled", O_RDWR | O_CREAT);
        struct stat status;
        check(fstat(fd, &status), where("filled"));
        for (auto at = static_cast<std::size_t>(status.st_size); at < file_bytes; at += large)
            write_all(fd, large, at, name_);
        if (flags == 0)
            return fd;
        close(fd);
        return openat(folder(), "filled", O_RDWR | flags | O_CLOEXEC);
    }
    std::string where(const std::string &file) const { return name_ + ": " + file; }
    void remove(const std::string &file, int flags = 0) const {
        check(unlinkat(folder(), file.c_str(), flags), where(file));
    }
    void make(const std::string &file) const { close(open_file(file, O_WRONLY | O_CREAT)); }

  private:
    std::string name_;
    OwnFolder folder_;
};

std::string numbered(unsigned i) {
    return "file-" + std::to_string(i);
}

// One call: what is done before the clock runs, what is timed, what is done after it.
struct Timed {
    std::function<void(unsigned)> call;
    std::function<void()> after = [] {};
};
struct Kind {
    const char *name;
    unsigned share; // of --calls is one in so many
    std::function<std::optional<Timed>(const Place &, unsigned calls)> prepare;
};

Timed remove_later(const Place &place, unsigned calls, int flags,
                   std::function<void(unsigned)> call) {
    return {std::move(call), [&place, calls, flags] {
                for (unsigned i = 0; i < calls; ++i)
                    place.remove(numbered(i), flags);
            }};
}

std::vector<Kind> name_kinds() {
    return {
        {"create + close", 1,
         [](const Place &place, unsigned calls) {
             return remove_later(place, calls, 0, [&place](unsigned i) {
                 close(place.open_file(numbered(i), O_WRONLY | O_CREAT | O_EXCL));
             });
         }},
        {"unlink", 1,
         [](const Place &place, unsigned calls) {
             for (unsigned i = 0; i < calls; ++i)
                 place.make(numbered(i));
             return Timed{[&place](unsigned i) { place.remove(numbered(i)); }};
         }},
        {"rename", 1,
         [](const Place &place, unsigned) {
             place.make("old");
             return Timed{[&place](unsigned i) {
                              const char *names[] = {"old", "new"};
                              check(renameat(place.folder(), names[i % 2], place.folder(),
                                             names[(i + 1) % 2]),
                                    place.where("rename"));
                          },
                          [&place] {
                              for (const char *name : {"old", "new"})
                                  unlinkat(place.folder(), name, 0);
                          }};
         }},
        {"mkdir", 1,
         [](const Place &place, unsigned calls) {
             return remove_later(place, calls, AT_REMOVEDIR, [&place](unsigned i) {
                 check(mkdirat(place.folder(), numbered(i).c_str(), 0755), place.where("mkdir"));
             });
         }},
        {"rmdir", 1,
         [](const Place &place, unsigned calls) {
             for (unsigned i = 0; i < calls; ++i)
                 check(mkdirat(place.folder(), numbered(i).c_str(), 0755), place.where("mkdir"));
             return Timed{[&place](unsigned i) { place.remove(numbered(i), AT_REMOVEDIR); }};
         }},
    };
}

std::vector<Kind> inode_kinds() {
    return {
        {"stat, cached", 1,
         [](const Place &place, unsigned) {
             place.make("looked-at");
             return Timed{[&place](unsigned) {
                 struct stat status;
                 check(fstatat(place.folder(), "looked-at", &status, 0), place.where("stat"));
             }};
         }},
        {"stat of a missing name", 1,
         [](const Place &place, unsigned) {
             return Timed{[&place](unsigned) {
                 struct stat status;
                 if (fstatat(place.folder(), "missing", &status, 0) == 0 || errno != ENOENT)
                     die(place.where("stat of a missing name"));
             }};
         }},
        {"open + close", 1,
         [](const Place &place, unsigned) {
             place.make("looked-at");
             return Timed{[&place](unsigned) { close(place.open_file("looked-at", O_RDONLY)); }};
         }},
        {"chmod", 1,
         [](const Place &place, unsigned) {
             place.make("looked-at");
             return Timed{[&place](unsigned i) {
                 check(fchmodat(place.folder(), "looked-at", i % 2 != 0 ? 0600 : 0644, 0),
                       place.where("chmod"));
             }};
         }},
    };
}

Timed appending(const Place &place, std::size_t length) {
    const int fd = place.open_file("appended", O_WRONLY | O_CREAT | O_TRUNC);
    return {[&place, fd, length](unsigned i) { write_all(fd, length, i * length, place.name()); },
            [&place, fd] {
                close(fd);
                place.remove("appended");
            }};
}

// A multiple of `length` in the filled file, the same sequence in every run.
std::size_t somewhere(std::size_t length) {
    static std::mt19937_64 random(1);
    return random() % (file_bytes / length) * length;
}

Timed overwriting(const Place &place, std::size_t length, bool sync) {
    const int fd = place.filled_file();
    return {[&place, fd, length, sync](unsigned) {
                write_all(fd, length, somewhere(length), place.name());
                if (sync)
                    check(fsync(fd), place.where("fsync"));
            },
            [fd] { close(fd); }};
}

std::optional<Timed> reading(const Place &place, std::size_t length, int flags) {
    const int fd = place.filled_file(flags);
    if (fd < 0)
        return std::nullopt; // no O_DIRECT here
    return Timed{
        [&place, fd, length](unsigned) { read_all(fd, length, somewhere(length), place.name()); },
        [fd] { close(fd); }};
}

std::vector<Kind> data_kinds() {
    return {
        {"append 4 KiB", 1, [](const Place &p, unsigned) { return appending(p, small); }},
        {"overwrite 4 KiB", 1,
         [](const Place &p, unsigned) { return overwriting(p, small, false); }},
        {"overwrite 4 KiB + fsync", 1,
         [](const Place &p, unsigned) { return overwriting(p, small, true); }},
        {"read 4 KiB", 1, [](const Place &p, unsigned) { return reading(p, small, 0); }},
        {"read 4 KiB, direct", 1,
         [](const Place &p, unsigned) { return reading(p, small, O_DIRECT); }},
        {"append 1 MiB", 25, [](const Place &p, unsigned) { return appending(p, large); }},
        {"overwrite 1 MiB", 25,
         [](const Place &p, unsigned) { return overwriting(p, large, false); }},
        {"read 1 MiB", 25, [](const Place &p, unsigned) { return reading(p, large, 0); }},
    };
}

std::vector<Kind> all_kinds() {
    auto kinds = name_kinds();
    for (const auto &more : {inode_kinds(), data_kinds()})
        kinds.insert(kinds.end(), more.begin(), more.end());
    return kinds;
}

double quantile(std::vector<double> values, double share) {
    const auto at = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5);
    std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(at));
    return values[at];
}

// Microseconds of every call of one round; nothing if the filesystem does not have it.
std::optional<std::vector<double>> run(const Kind &kind, const Place &place, unsigned calls) {
    const auto timed = kind.prepare(place, calls);
    if (!timed)
        return std::nullopt;
    std::vector<double> took(calls);
    for (unsigned i = 0; i < calls; ++i) {
        const auto start = std::chrono::steady_clock::now();
        timed->call(i);
        const auto end = std::chrono::steady_clock::now();
        took[i] = std::chrono::duration<double, std::micro>(end - start).count();
    }
    timed->after();
    return took;
}

struct Figures {
    std::vector<double> medians; // of each round
    std::vector<double> all;

    void add(const std::vector<double> &round) {
        medians.push_back(quantile(round, 0.5));
        all.insert(all.end(), round.begin(), round.end());
    }
};

nlohmann::json to_json(const Figures &figures, const Figures &first) {
    if (figures.all.empty())
        return nullptr;
    const double median = quantile(figures.medians, 0.5);
    nlohmann::json shown = {{"median_us", median},
                            {"round_medians_us", figures.medians},
                            {"p90_us", quantile(figures.all, 0.9)},
                            {"p99_us", quantile(figures.all, 0.99)}};
    if (!first.all.empty())
        shown["ratio"] = median / quantile(first.medians, 0.5);
    return shown;
}

std::string cell(const Figures &figures, const Figures &first) {
    if (figures.all.empty())
        return "-";
    const double median = quantile(figures.medians, 0.5);
    if (first.all.empty())
        return fmt::format("{:.1f}", median);
    return fmt::format("{:.1f} ({:.2f})", median, median / quantile(first.medians, 0.5));
}

struct Arguments {
    unsigned calls = 500;
    unsigned rounds = 7;
    std::string only;
    std::string json;
    std::vector<std::string> places;
};

Arguments parse(int argc, char **argv) {
    CLI::App app{"latency of single calls through mounted filesystems", "fsops"};
    Arguments arguments;
    app.add_option("--calls", arguments.calls, "calls in a round; of 1 MiB a 25th of it")
        ->check(CLI::Range(25u, 1'000'000u));
    app.add_option("--rounds", arguments.rounds)->check(CLI::Range(1u, 10'000u));
    app.add_option("--only", arguments.only, "only calls whose name has this text");
    app.add_option("--json", arguments.json, "figures go to this file, too");
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
    std::vector<std::unique_ptr<Place>> places;
    for (const NamedFolder &folder : parse_folders(arguments.places))
        places.push_back(std::make_unique<Place>(folder));
    fmt::print("{:24}", "microseconds (ratio)");
    for (const auto &place : places)
        fmt::print(" {:>18}", place->name());
    fmt::print("\n");
    nlohmann::ordered_json result;
    for (const Kind &kind : all_kinds()) {
        if (std::string_view(kind.name).find(arguments.only) == std::string_view::npos)
            continue;
        std::vector<Figures> figures(places.size());
        for (unsigned round = 0; round < arguments.rounds; ++round)
            for (std::size_t i = 0; i < places.size(); ++i)
                if (const auto took = run(kind, *places[i], arguments.calls / kind.share))
                    figures[i].add(*took);
        fmt::print("{:24}", kind.name);
        for (std::size_t i = 0; i < places.size(); ++i) {
            fmt::print(" {:>18}", cell(figures[i], figures[0]));
            result[kind.name][places[i]->name()] = to_json(figures[i], figures[0]);
        }
        fmt::print("\n");
        std::fflush(stdout);
    }
    if (!arguments.json.empty())
        std::ofstream(arguments.json) << result.dump(2) << "\n";
    return 0;
}
