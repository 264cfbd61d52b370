// SPDX-License-Identifier: BSD-3-Clause
//
// Dirty tracking: what a sync costs by how much of a mapping is dirty, with marks of lines (fine),
// marks of pages (coarse), the kernel's write-protection, and none (flush everything). The medium
// is a file that is taken for persistent memory in domain cache_line, which is assumed; the same
// code runs over real memory.
//
//   build-release/bench/dirty-bench [--bytes N] [--rounds N] [--folder DIR] > table.tsv
//   bench/plot-dirty table.tsv > dirty.svg
//
// A round stores to the same places under each mode in turn, so that noise hits all alike, and once
// without a clock before each of them, so that each finds the same lines in the caches. Rows
// are medians, in microseconds; `store` is the time of the stores with their marks, `sync` that of
// what daxpin_sync() does.
#include "client/marks.h"
#include "client/stores.h"
#include "client/write_protect.h"
#include "figures.h"
#include "must.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <memory>
#include <random>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

namespace {

using namespace daxpin;
using bench::median;
using bench::must;
using client::DirtyTracker;
using client::Marks;

constexpr std::size_t line_bytes = 64;

struct Medium {
    Medium(const std::string &folder, std::size_t bytes) : size(bytes) {
        auto path = folder + "/daxpin-dirty-bench-XXXXXX";
        const int fd = mkstemp(path.data());
        if (fd < 0 || unlink(path.c_str()) != 0 || ftruncate(fd, static_cast<off_t>(bytes)) != 0) {
            std::perror(path.c_str());
            std::exit(1);
        }
        address = map(fd);
        watched = map(fd);
        close(fd);
        std::fill_n(address, bytes, std::byte{1});
    }
    std::byte *map(int fd) const {
        void *found = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
        if (found != MAP_FAILED)
            return static_cast<std::byte *>(found);
        std::perror("mmap");
        std::exit(1);
    }
    std::size_t size;
    std::byte *address = nullptr;
    std::byte *watched = nullptr; // the same memory, for the mode in which clean pages fault
};

struct Mode {
    const char *name;
    std::byte *address;
    std::unique_ptr<DirtyTracker> tracker; // none: everything is flushed
    std::vector<double> store = {};        // microseconds, one a round
    std::vector<double> sync = {};
};

// The processor time of this thread, faults included: it never sleeps, and others do not count.
double now() {
    return bench::processor_seconds() * 1e6;
}

// Stores 8 bytes at each place, marks it, then makes everything durable.
void run(Mode &mode, const Medium &medium, const client::Stores &stores,
         const std::vector<std::size_t> &places) {
    const auto start = now();
    for (const auto place : places) {
        *reinterpret_cast<volatile std::uint64_t *>(mode.address + place) = place;
        if (mode.tracker)
            mode.tracker->mark(place, 8);
    }
    const auto middle = now();
    if (!mode.tracker)
        stores.flush_lines(mode.address, medium.size);
    else if (!mode.tracker->take(0, medium.size, [&](std::size_t at, std::size_t length) {
                 stores.flush_lines(mode.address + at, length);
             }))
        std::exit(1);
    stores.drain();
    mode.store.push_back(middle - start);
    mode.sync.push_back(now() - middle);
}

// Without a clock, and past any tracker: what the places' lines are left as by a run.
void touch(const Medium &medium, const client::Stores &stores,
           const std::vector<std::size_t> &places) {
    for (const auto place : places) {
        *reinterpret_cast<volatile std::uint64_t *>(medium.address + place) = place;
        stores.flush_lines(medium.address + place, line_bytes);
    }
    stores.drain();
}

// Lines that are all apart, or runs that fill pages.
std::vector<std::size_t> places(std::size_t size, std::size_t count, bool whole_pages,
                                std::mt19937_64 &random) {
    constexpr std::size_t page = 4096;
    std::vector<std::size_t> found;
    found.reserve(count);
    while (found.size() < count) {
        if (!whole_pages) {
            found.push_back(random() % (size / line_bytes) * line_bytes);
            continue;
        }
        const auto start = random() % (size / page) * page;
        for (std::size_t at = 0; at < page && found.size() < count; at += line_bytes)
            found.push_back(start + at);
    }
    return found;
}

std::vector<Mode> make_modes(const Medium &medium) {
    std::vector<Mode> modes;
    modes.push_back({"none", medium.address, nullptr});
    modes.push_back({"fine", medium.address, must(Marks::make(Marks::Grain::line, medium.size))});
    modes.push_back({"coarse", medium.address, must(Marks::make(Marks::Grain::page, medium.size))});
    auto kernel = client::WriteProtect::make(medium.watched, medium.size);
    if (kernel)
        modes.push_back({"write_protect", medium.watched, *std::move(kernel)});
    else
        std::printf("# no write_protect: %s\n", kernel.error().text.c_str());
    return modes;
}

void measure(const Medium &medium, const client::Stores &stores, bool whole_pages,
             std::size_t count, unsigned rounds) {
    auto modes = make_modes(medium);
    std::mt19937_64 random(count);
    for (unsigned round = 0; round < rounds; ++round) {
        const auto where = places(medium.size, count, whole_pages, random);
        // Or the first mode would fetch the lines that the others find in the caches.
        for (auto &mode : modes) {
            touch(medium, stores, where);
            run(mode, medium, stores, where);
        }
    }
    const auto all = median(modes[0].store) + median(modes[0].sync);
    for (const auto &mode : modes) {
        const auto store = median(mode.store), sync = median(mode.sync);
        std::printf("%s\t%zu\t%.3e\t%s\t%.1f\t%.1f\t%.4f\n", whole_pages ? "pages" : "lines", count,
                    static_cast<double>(count * line_bytes) / static_cast<double>(medium.size),
                    mode.name, store, sync, (store + sync) / all);
    }
    std::fflush(stdout);
}

} // namespace

int main(int argc, char **argv) {
    std::size_t bytes = std::size_t{1} << 28;
    unsigned rounds = 5;
    std::string folder = "/dev/shm";
    CLI::App app("What a sync costs by how much is dirty.", "dirty-bench");
    app.add_option("--bytes", bytes, "size of the mapping");
    app.add_option("--rounds", rounds, "of which the median is shown");
    app.add_option("--folder", folder, "where the medium is made");
    CLI11_PARSE(app, argc, argv);
    const Medium medium(folder, bytes);
    const auto &stores = *must(client::stores_for(DAXPIN_GRANULARITY_CACHE_LINE));
    std::printf("# mapping of %zu bytes in %s, domain cache_line assumed, median of %u rounds\n",
                bytes, folder.c_str(), rounds);
    std::printf("pattern\tlines\tfraction\tmode\tstore_us\tsync_us\tof_none\n");
    for (const bool whole_pages : {false, true})
        for (std::size_t count = 1; count <= bytes / line_bytes; count *= 8)
            measure(medium, stores, whole_pages, count, rounds);
    return 0;
}
