// SPDX-License-Identifier: BSD-3-Clause
//
// What the number of files costs the engine, in process: create, lookup, list and unlink; mounting,
// in order and after a crash; space. bench/scale adds what needs a mount.
//
//   build-release/bench/scale-bench [--quick] [--files 10000,1000000] [--only PART] [--json FILE]
//
// Volumes of each number of files, in one directory and in directories of a thousand, are sparse
// files side by side in /dev/shm (domain cache_line, assumed). In each round every figure is taken
// on each of them in turn, so that noise hits all alike; medians over the rounds. Operations are in
// processor time, mounts in time (processor time in the JSON). A file that is looked up or removed
// is any of them, and none of the kernel's caches helps. A crash is a child that ends with _exit
// while the journal holds its records; the ring is full when 97 % of it are in use.
#include "device/label.h"
#include "device/open.h"
#include "figures.h"
#include "journal/ring.h"
#include "journal/tail_cell.h"
#include "scale_stage.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fmt/format.h>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace daxpin;
using bench::median;
using bench::processor_seconds;
using scale::fail;
using scale::Files;
using scale::must;
using scale::Stage;

constexpr std::uint64_t journal_bytes = std::uint64_t{64} << 20;
constexpr double full_share = 0.97;    // of the ring; a few per cent lie waste at its end
constexpr double cost_ratio_max = 1.5; // targets
constexpr double mount_ms_max = 100;
constexpr double space_share_max = 0.03;

struct Arguments {
    std::vector<std::uint32_t> files{10'000, 1'000'000, 10'000'000};
    std::vector<std::string> shapes{"one", "many"};
    unsigned rounds = 7;
    unsigned sample = 2000;
    std::uint64_t space_mib = 4096;
    bool quick = false;
    std::string folder = "/dev/shm";
    std::string only;
    std::string keep;
    std::string json;
};

// --- the table ----------------------------------------------------------------------------------

std::string words(const std::string &shape) {
    return shape == "one" ? "one directory" : "1000 per directory";
}

class Table {
  public:
    // `held` is what the target is about: a ratio, milliseconds or a share.
    void add(const std::string &what, const std::string &shape, std::uint64_t files,
             const std::string &figure, double held, double at_most, nlohmann::ordered_json more) {
        const bool met = held <= at_most;
        fmt::print("{:24} {:18} {:>9} {:>12} {:>9.3f} {:>7} {}\n", what, words(shape), files,
                   figure, held, at_most, met ? "met" : "NOT MET");
        std::fflush(stdout);
        nlohmann::ordered_json row = {{"what", what}, {"shape", shape},     {"files", files},
                                      {"held", held}, {"at_most", at_most}, {"met", met}};
        row.update(more);
        rows_.push_back(row);
    }
    void heading(const char *held) const {
        fmt::print("\n{:24} {:18} {:>9} {:>12} {:>9} {:>7}\n", "", "", "files", "figure", held,
                   "at most");
    }
    void write(const std::string &path) const {
        if (!path.empty() && !(std::ofstream(path) << rows_.dump(2) << "\n"))
            fail(path + ": cannot be written");
    }

  private:
    nlohmann::ordered_json rows_ = nlohmann::ordered_json::array();
};

// --- what an operation costs --------------------------------------------------------------------

// Processor time: nothing here waits.
double microseconds_each(std::size_t count, const std::function<void()> &all) {
    const double start = processor_seconds();
    all();
    return (processor_seconds() - start) * 1e6 / static_cast<double>(count);
}

template <typename Call>
double time_each(Stage &stage, std::size_t sample, std::uint32_t (Files::*choose)(), Call call) {
    const auto places = stage.places(sample, choose);
    return microseconds_each(sample, [&] {
        for (const auto &place : places)
            call(place);
        stage.housekeep();
    });
}

struct Operation {
    const char *name;
    std::function<double(Stage &, std::size_t sample)> time;
};

double time_lookups(Stage &stage, std::size_t sample) {
    return time_each(stage, sample, &Files::pick, [&](const auto &at) { stage.look_up(at); });
}

const std::vector<Operation> operations{
    {"lookup", time_lookups},
    {"create",
     [](Stage &stage, std::size_t sample) {
         return time_each(stage, sample, &Files::add, [&](const auto &at) { stage.create(at); });
     }},
    {"unlink",
     [](Stage &stage, std::size_t sample) {
         return time_each(stage, sample, &Files::take, [&](const auto &at) { stage.remove(at); });
     }},
    {"list, each entry",
     [](Stage &stage, std::size_t) {
         std::size_t listed = 0;
         const double all = microseconds_each(1, [&] { listed = stage.list(); });
         return all / static_cast<double>(listed);
     }},
};

using Stages = std::vector<std::unique_ptr<Stage>>; // the first has no files at all

void measure_costs(const Arguments &arguments, const std::string &shape, Stages &stages,
                   Table &table) {
    std::vector<std::vector<std::vector<double>>> took(
        operations.size(), std::vector<std::vector<double>>(stages.size()));
    for (unsigned round = 0; round < arguments.rounds; ++round)
        for (std::size_t which = 0; which < operations.size(); ++which)
            for (std::size_t i = 1; i < stages.size(); ++i) {
                time_lookups(*stages[i], arguments.sample); // the others had the caches
                took[which][i].push_back(operations[which].time(*stages[i], arguments.sample));
            }
    table.heading("ratio");
    for (std::size_t which = 0; which < operations.size(); ++which)
        for (std::size_t i = 1; i < stages.size(); ++i) {
            const double here = median(took[which][i]);
            table.add(operations[which].name, shape, arguments.files[i - 1],
                      fmt::format("{:.2f} us", here), here / median(took[which][1]), cost_ratio_max,
                      {{"us", here}, {"rounds_us", took[which][i]}});
        }
}

// --- mounting -----------------------------------------------------------------------------------

// Reads the ring of a volume beside the engine that writes it, while that does nothing.
class RingWatch {
  public:
    explicit RingWatch(const std::string &path)
        : devices_(must(device::open_volume_devices(path, options()))),
          geometry_(journal::geometry_of(must(device::read_superblock(devices_.metadata())))) {}

    // Bytes from the tail to the end of the newest record.
    std::uint64_t used() {
        const auto cell = must(journal::read_tail_cells(devices_, geometry_)).ruling;
        end_ = std::max(end_, cell.tail);
        const journal::Ring ring(devices_, geometry_, cell.epoch);
        journal::RingWindow window(ring, cell.tail + geometry_.ring_bytes());
        while (const auto record = must(ring.record_after(end_, window)))
            end_ = record->end();
        return end_ - cell.tail;
    }

  private:
    static device::OpenOptions options() {
        device::OpenOptions options;
        options.read_only = true;
        options.exclusive = false;
        return options;
    }

    device::DeviceTable devices_;
    journal::Geometry geometry_;
    journal::Sequence end_ = 0;
};

// What a child did before it ended; in memory that it shares.
struct Done {
    std::uint64_t steps; // of choose()
    std::uint64_t ring_bytes_used;
    bool finished;
};

// One file comes, another goes.
void choose(Files &files, std::uint64_t steps) {
    for (std::uint64_t i = 0; i < steps; ++i) {
        files.add();
        files.take();
    }
}

[[noreturn]] void work_and_end(Stage &stage, bool full, Done &done) {
    constexpr std::uint64_t batch = 64;
    stage.open();
    stage.look_up_directories();
    RingWatch watch(stage.path());
    do {
        for (std::uint64_t i = 0; i < batch; ++i) {
            stage.create(stage.places(1, &Files::add)[0]);
            stage.remove(stage.places(1, &Files::take)[0]);
        }
        done.steps += batch;
        done.ring_bytes_used = watch.used();
    } while (full && static_cast<double>(done.ring_bytes_used) < full_share * journal_bytes);
    if (!full) {
        must(stage.volume().checkpoint());
        done.ring_bytes_used = watch.used();
    }
    done.finished = true;
    _exit(0);
}

// Leaves the volume as a crash does, its ring full or empty. REQUIRES: closed.
double crash(Stage &stage, bool full) {
    void *shared =
        mmap(nullptr, sizeof(Done), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        fail("no memory to share with a child");
    auto &done = *new (shared) Done{};
    const pid_t child = fork();
    if (child == 0)
        work_and_end(stage, full, done);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || !done.finished)
        fail("the child that is to leave a full journal failed");
    choose(stage.files(), done.steps);
    const auto used = static_cast<double>(done.ring_bytes_used);
    munmap(shared, sizeof(Done));
    return used / journal_bytes;
}

enum class Before { orderly_end, crash_ring_empty, crash_ring_full };
constexpr std::pair<Before, const char *> mounts[] = {
    {Before::orderly_end, "mount, clean"},
    {Before::crash_ring_empty, "mount, crash, ring empty"},
    {Before::crash_ring_full, "mount, crash, ring full"},
};

void measure_mounts(const Arguments &arguments, const std::string &shape, Stages &stages,
                    Table &table) {
    table.heading("ms beyond");
    for (const auto &[before, name] : mounts) {
        std::vector<std::vector<double>> took(stages.size());
        std::vector<std::vector<double>> processor(stages.size());
        std::vector<double> fills(stages.size(), 0);
        std::vector<std::uint64_t> records(stages.size());
        for (unsigned round = 0; round < arguments.rounds; ++round)
            for (std::size_t i = 0; i < stages.size(); ++i) {
                // A volume without files has nothing to fill a ring with, and is what the others
                // are held against.
                if (before != Before::orderly_end && i > 0)
                    fills[i] = crash(*stages[i], before == Before::crash_ring_full);
                const double start = processor_seconds();
                took[i].push_back(stages[i]->open());
                processor[i].push_back((processor_seconds() - start) * 1000);
                records[i] = stages[i]->volume().records_replayed();
                stages[i]->close();
            }
        for (std::size_t i = before == Before::orderly_end ? 0 : 1; i < stages.size(); ++i)
            table.add(name, shape, i == 0 ? 0 : arguments.files[i - 1],
                      fmt::format("{:.2f} ms", median(took[i])), median(took[i]) - median(took[0]),
                      mount_ms_max,
                      {{"ms", median(took[i])},
                       {"empty_ms", median(took[0])},
                       {"rounds_ms", took[i]},
                       {"processor_ms", median(processor[i])},
                       {"ring_fill", fills[i]},
                       {"records", records[i]}});
    }
}

// --- space --------------------------------------------------------------------------------------

void measure_space(const Arguments &arguments, const std::string &shape, Table &table) {
    constexpr std::size_t file_bytes = 16384;
    const std::uint64_t bytes = arguments.space_mib << 20;
    // The ring that mkfs would choose.
    Stage stage(arguments.folder, "", bytes, 0, static_cast<std::uint32_t>(bytes / file_bytes),
                shape == "many");
    stage.open();
    const std::uint64_t ring = stage.volume().superblock().ring_blocks;
    const std::uint64_t files = stage.fill(file_bytes);
    const std::uint64_t metadata = stage.used_blocks() - files * file_bytes / block_size;
    const auto blocks = static_cast<double>(bytes / block_size);
    const double share = static_cast<double>(metadata) / blocks;
    table.heading("share");
    table.add("metadata, 16 KiB files", shape, files,
              fmt::format("{:.1f} MiB", static_cast<double>(metadata * block_size) / (1 << 20)),
              share, space_share_max,
              {{"volume_bytes", bytes},
               {"ring_share", static_cast<double>(ring) / blocks},
               {"metadata_bytes_per_file", metadata * block_size / files}});
    const double rest = static_cast<double>(metadata - ring);
    table.add("the same less the ring", shape, files,
              fmt::format("{:.1f} MiB", rest * block_size / (1 << 20)), rest / blocks,
              space_share_max, {{"volume_bytes", bytes}});
}

// --- all of it ----------------------------------------------------------------------------------

void check_room(const Arguments &arguments) {
    constexpr std::uint64_t bytes_per_file = 512; // measured: less
    std::uint64_t wanted = std::uint64_t{256} << 20;
    for (const auto count : arguments.files)
        wanted += count * bytes_per_file + journal_bytes;
    struct statvfs room;
    if (statvfs(arguments.folder.c_str(), &room) != 0)
        fail(arguments.folder + ": no such folder");
    if (room.f_bavail * room.f_frsize < std::max(wanted, arguments.space_mib << 20))
        fail(fmt::format("{}: the volumes need up to {} MiB", arguments.folder, wanted >> 20));
}

Stages make_stages(const Arguments &arguments, const std::string &shape) {
    const std::uint64_t bytes =
        (std::uint64_t{1} << 30) + std::uint64_t{1024} * arguments.files.back();
    Stages stages;
    std::vector<std::uint32_t> counts{0};
    counts.insert(counts.end(), arguments.files.begin(), arguments.files.end());
    for (const auto count : counts) {
        const bool kept = shape == arguments.shapes.front() && count == arguments.files.back();
        stages.push_back(std::make_unique<Stage>(arguments.folder, kept ? arguments.keep : "",
                                                 bytes, journal_bytes, count, shape == "many"));
        stages.back()->open();
        stages.back()->make_files();
        fmt::print(stderr, "scale-bench: {}: {} files in {} MiB\n", words(shape), count,
                   stages.back()->used_blocks() * block_size >> 20);
    }
    return stages;
}

bool asked(const Arguments &arguments, const char *part) {
    return arguments.only.empty() || arguments.only == part;
}

Arguments parse(int argc, char **argv) {
    CLI::App app{"what the number of files costs the engine", "scale-bench"};
    Arguments arguments;
    app.add_option("--files", arguments.files, "numbers of files; compared with the least")
        ->delimiter(',');
    app.add_option("--shape", arguments.shapes, "one: all in one directory; many: 1000 in each")
        ->delimiter(',')
        ->check(CLI::IsMember({"one", "many"}));
    app.add_option("--rounds", arguments.rounds)->check(CLI::Range(1u, 1000u));
    app.add_option("--sample", arguments.sample, "operations in a round")
        ->check(CLI::Range(1u, 5000u));
    app.add_option("--space-mib", arguments.space_mib, "size of the volume that is filled");
    app.add_flag("--quick", arguments.quick, "up to 100 thousand files, 3 rounds, 512 MiB filled");
    app.add_option("--folder", arguments.folder, "where the volumes are made");
    app.add_option("--only", arguments.only, "only this part")
        ->check(CLI::IsMember({"costs", "mounts", "space"}));
    app.add_option("--keep", arguments.keep,
                   "leave the largest volume of the first shape in this file, as a crash with a "
                   "full ring does");
    app.add_option("--json", arguments.json, "figures go to this file, too");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError &error) {
        std::exit(app.exit(error) == 0 ? 0 : 2);
    }
    if (arguments.quick) {
        arguments.files = {10'000, 100'000};
        arguments.rounds = 3;
        arguments.space_mib = 512;
    }
    std::ranges::sort(arguments.files);
    return arguments;
}

} // namespace

int main(int argc, char **argv) {
    const Arguments arguments = parse(argc, argv);
    check_room(arguments);
    Table table;
    for (const auto &shape : arguments.shapes) {
        if (asked(arguments, "costs") || asked(arguments, "mounts")) {
            auto stages = make_stages(arguments, shape);
            if (asked(arguments, "costs"))
                measure_costs(arguments, shape, stages, table);
            for (auto &stage : stages)
                stage->close();
            if (asked(arguments, "mounts"))
                measure_mounts(arguments, shape, stages, table);
            if (!arguments.keep.empty() && shape == arguments.shapes.front())
                crash(*stages.back(), true);
        }
        if (asked(arguments, "space"))
            measure_space(arguments, shape, table);
    }
    table.write(arguments.json);
    return 0;
}
