// SPDX-License-Identifier: BSD-3-Clause
//
// The engine in process, without FUSE: what one durable operation costs, on one thread and on two,
// each of which has a directory and a file of its own. By the number of files that there are
// before; in domain cache_line, in domain byte (eADR: nothing is flushed), and with a volume for
// each thread (apart), which shares nothing: what two threads can have on this machine.
//
//   build-release/bench/engine-bench --benchmark_filter=create.*cache_line/files:1000/
#include "medium.h"
#include "volume/volume.h"

#include <array>
#include <benchmark/benchmark.h>
#include <cstdio>
#include <cstring>
#include <string>
#include <sys/stat.h>

namespace {

using namespace daxpin;
using bench::must;
using bench::scramble;
using device::Domain;
using volume::Volume;

constexpr std::uint64_t device_bytes = std::uint64_t{16} << 30;
constexpr std::uint64_t populated_bytes = std::uint64_t{4} << 30; // where the operations store
constexpr unsigned threads_max = 2;
constexpr std::uint64_t hot_blocks = 256;       // of the file that is overwritten and read
constexpr std::uint64_t appended_max = 1 << 16; // blocks; then the file is cut to nothing
constexpr unsigned spacers = 256;
constexpr std::uint64_t turns_between_looks = 1024;
constexpr std::uint64_t noteworthy = 1'000'000; // so many files take some seconds

struct Setting {
    Domain domain;
    std::uint64_t files; // in all
    bool apart;          // each thread has a volume
    bool operator==(const Setting &) const = default;
};

// What one thread works on.
struct Place {
    Volume *volume = nullptr;
    InodeNumber directory = {};
    std::uint64_t files = 0; // "old0", "old1", ... in the directory
    volume::Volume::Created hot = {};
    volume::Volume::Created growing = {};
    std::uint64_t grown = 0; // blocks
    std::uint64_t turn = 0;
    std::array<std::byte, block_size> block = {};
};

// What the daemon's thread does now and then: its cost belongs to the operations. More often than
// the daemon, so that each run has its share.
void look_after(Volume &volume) {
    must(volume.checkpoint());
    must(volume.background_step());
}

void create(Place &place, const std::string &name) {
    const auto made = must(
        place.volume->create({}, place.directory, name, {.mode = S_IFREG | 0644}, {.write = true}));
    place.volume->release(made.attributes.number, made.open.handle);
    place.volume->forget(made.attributes.number, 1);
}

void write(Place &place, const volume::Volume::Created &file, std::uint64_t block) {
    benchmark::DoNotOptimize(must(place.volume->write(file.attributes.number, file.open.handle,
                                                      block * block_size, place.block)));
}

class Site {
  public:
    explicit Site(const Setting &setting) {
        if (setting.files >= noteworthy)
            std::fprintf(stderr, "making %llu files\n",
                         static_cast<unsigned long long>(setting.files));
        for (unsigned i = 0; i < threads_max; ++i) {
            if (i == 0 || setting.apart)
                volumes_.push_back(open_volume(setting.domain));
            fill(places_[i], *volumes_.back(), i, setting.files / threads_max);
        }
    }
    Place &place(int thread) { return places_[static_cast<unsigned>(thread)]; }

  private:
    static std::unique_ptr<Volume> open_volume(Domain domain) {
        auto devices = bench::open_formatted(device_bytes, domain);
        bench::populate(devices, populated_bytes);
        return must(Volume::open(std::move(devices), system_env(), {}));
    }
    static void fill(Place &place, Volume &volume, unsigned index, std::uint64_t files) {
        place.volume = &volume;
        place.files = files;
        place.block.fill(std::byte{0x5a});
        const InodeNumber root{format::root_inode};
        // Between the threads' own files, so that these share no node of the tree.
        for (unsigned i = 0; i < spacers; ++i)
            must(volume.make_node({}, root, "s" + std::to_string(index) + "-" + std::to_string(i),
                                  {.mode = S_IFREG | 0644}));
        place.directory =
            must(volume.make_node({}, root, "d" + std::to_string(index), {.mode = S_IFDIR | 0755}))
                .number; // referenced, as the kernel does with a directory that is worked in
        const auto open = [&](const std::string &name) {
            return must(volume.create({}, place.directory, name, {.mode = S_IFREG | 0644},
                                      {.write = true}));
        };
        place.hot = open("hot");
        place.growing = open("growing");
        create(place, "a");
        for (std::uint64_t i = 0; i < hot_blocks; ++i)
            write(place, place.hot, i);
        for (std::uint64_t i = 0; i < files; ++i) {
            create(place, "old" + std::to_string(i));
            if (i % turns_between_looks == 0)
                look_after(volume);
        }
    }

    std::vector<std::unique_ptr<Volume>> volumes_;
    std::array<Place, threads_max> places_;
};

void create_unlink(Place &place) {
    const auto name = "new" + std::to_string(place.turn);
    create(place, name);
    must(place.volume->unlink({}, place.directory, name));
}

void rename_there_and_back(Place &place) {
    const auto rename = [&](const char *from, const char *to) {
        must(place.volume->rename({}, place.directory, from, place.directory, to,
                                  volume::RenameMode::plain));
    };
    rename("a", "b");
    rename("b", "a");
}

void lookup(Place &place) {
    const auto name = "old" + std::to_string(scramble(place.turn) % place.files);
    const auto found = must(place.volume->lookup(place.directory, name));
    place.volume->forget(found.number, 1);
}

void append_4k(Place &place) {
    write(place, place.growing, place.grown++);
}

void overwrite_4k(Place &place) {
    write(place, place.hot, place.turn % hot_blocks);
}

void read_4k(Place &place) {
    const auto reply = must(place.volume->read(place.hot.attributes.number, place.hot.open.handle,
                                               place.turn % hot_blocks * block_size, block_size));
    std::size_t at = 0;
    for (const auto segment : reply.segments) {
        std::memcpy(place.block.data() + at, segment.data(), segment.size());
        at += segment.size();
    }
    benchmark::ClobberMemory();
}

void cut_what_has_grown(Place &place) {
    volume::AttributeChange change;
    change.size = 0;
    must(place.volume->set_attributes({}, place.growing.attributes.number, change,
                                      place.growing.open.handle));
    while (must(place.volume->background_step()))
        ;
    place.grown = 0;
}

// How scattered the file is that has grown, a mean over the threads.
void count_extents(benchmark::State &state, Place &place) {
    const auto extents = must(place.volume->show_extents(place.growing.attributes.number)).size();
    state.counters["blocks_per_extent"] =
        benchmark::Counter(static_cast<double>(place.grown) / static_cast<double>(extents),
                           benchmark::Counter::kAvgThreads);
}

bench::Shared<Setting, Site> site;

using Operation = void (*)(Place &);

void run(benchmark::State &state, const Setting &setting, Operation operation) {
    site.prepare(state.thread_index(), setting);
    for (auto _ : state) {
        Place &place = site->place(state.thread_index());
        operation(place);
        if (bench::is_due(++place.turn, turns_between_looks, state.thread_index()))
            look_after(*place.volume);
        if (place.grown == appended_max) {
            state.PauseTiming();
            cut_what_has_grown(place);
            state.ResumeTiming();
        }
    }
    if (Place &place = site->place(state.thread_index()); place.grown > 0) {
        count_extents(state, place);
        cut_what_has_grown(place);
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

constexpr std::pair<const char *, Operation> operations[] = {
    {"create_unlink", create_unlink},
    {"rename_there_and_back", rename_there_and_back},
    {"lookup", lookup},
    {"append_4k", append_4k},
    {"overwrite_4k", overwrite_4k},
    {"read_4k", read_4k}};

// Setting by setting, so that each is made once.
constexpr Setting settings[] = {
    {Domain::cache_line, 1000, false},      {Domain::cache_line, 100'000, false},
    {Domain::cache_line, 100'000, true},    {Domain::byte, 100'000, false},
    {Domain::cache_line, 1'000'000, false}, {Domain::cache_line, 10'000'000, false}};

void register_all() {
    for (const Setting &setting : settings)
        for (const auto &[name, operation] : operations) {
            const std::string full_name = std::string(name) + "/" +
                                          device::to_string(setting.domain) +
                                          (setting.apart ? "/apart" : "");
            benchmark::RegisterBenchmark(
                full_name.c_str(), [&setting, operation = operation](
                                       benchmark::State &state) { run(state, setting, operation); })
                ->ArgName("files")
                ->Arg(static_cast<std::int64_t>(setting.files))
                ->ThreadRange(1, threads_max)
                ->UseRealTime()
                ->Unit(benchmark::kMicrosecond);
        }
}

} // namespace

int main(int argc, char **argv) {
    register_all();
    const int status = bench::run_registered(argc, argv);
    site.reset();
    return status;
}
