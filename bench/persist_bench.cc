// SPDX-License-Identifier: BSD-3-Clause
//
// What it costs to make a few bytes durable: by the bare instructions, by libdaxpin through the
// same mapping, by write and fsync through the mount, and by write on another filesystem, which
// makes nothing durable. Everything in turn, so that noise hits all alike; medians.
//
//   persist-bench [--rounds N] FILE OTHER
//
// FILE is pinned, on a daxpin filesystem in domain cache_line; OTHER is an ordinary file. Prints
// lines "NAME<tab>nanoseconds of a call". bench/persist makes both and says what it means.
#include "figures.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <daxpin/daxpin.h>
#include <fcntl.h>
#include <functional>
#include <immintrin.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

constexpr std::size_t line_bytes = 64;
constexpr std::size_t block_bytes = 4096;
// A sample begins at its start and goes round, as far as its calls take it; stays in the caches.
constexpr std::size_t window_bytes = std::size_t{1} << 20;

std::array<std::byte, block_bytes> source; // NOLINT: filled in main

[[noreturn]] void fail(const std::string &what) {
    std::fprintf(stderr, "persist-bench: %s\n", what.c_str());
    std::exit(1);
}

int opened(const std::string &path) {
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0)
        fail(path + ": " + std::strerror(errno));
    return fd;
}

void check(bool good, const char *what) {
    if (!good)
        fail(std::string(what) + ": " + std::strerror(errno));
}

void check_library(int done, const char *what) {
    if (done != 0)
        fail(std::string(what) + ": " + daxpin_errormsg());
}

[[gnu::target("clwb")]] void raw_persist_line(std::byte *to) {
    std::memcpy(to, source.data(), line_bytes);
    _mm_clwb(to);
    _mm_sfence();
}

[[gnu::target("avx")]] void raw_copy_block(std::byte *to) {
    for (std::size_t i = 0; i < block_bytes; i += sizeof(__m256i)) {
        const auto value = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(&source[i]));
        _mm256_stream_si256(reinterpret_cast<__m256i *>(to + i), value);
    }
    _mm_sfence();
}

struct Way {
    const char *name;
    std::size_t bytes; // of each call
    unsigned calls;    // in one sample
    std::function<void(std::size_t offset)> call;
    std::vector<double> samples = {}; // nanoseconds a call
};

std::chrono::duration<double, std::nano> time_of(const Way &way) {
    std::size_t offset = 0;
    const auto begin = std::chrono::steady_clock::now();
    for (unsigned i = 0; i < way.calls; ++i) {
        way.call(offset);
        offset = (offset + way.bytes) % window_bytes;
    }
    return std::chrono::steady_clock::now() - begin;
}

// The first pass does not count: each way finds the caches as it left them itself, whatever the one
// before it did.
void sample(Way &way) {
    time_of(way);
    way.samples.push_back(time_of(way).count() / way.calls);
}

void write_to(int fd, std::size_t bytes, std::size_t offset) {
    check(pwrite(fd, source.data(), bytes, static_cast<off_t>(offset)) ==
              static_cast<ssize_t>(bytes),
          "pwrite");
}

std::vector<Way> all_ways(const daxpin_map *map, int file, int other) {
    auto *const media = static_cast<std::byte *>(daxpin_map_get_address(map));
    return {
        {"64 bytes, CLWB and SFENCE", line_bytes, 4096,
         [=](std::size_t at) { raw_persist_line(media + at); }},
        {"64 bytes, stores and daxpin_persist", line_bytes, 4096,
         [=](std::size_t at) {
             std::memcpy(media + at, source.data(), line_bytes);
             check_library(daxpin_persist(map, media + at, line_bytes), "daxpin_persist");
         }},
        {"64 bytes, pwrite and fsync, mount", line_bytes, 16,
         [=](std::size_t at) {
             write_to(file, line_bytes, at);
             check(fsync(file) == 0, "fsync");
         }},
        {"4 KiB, non-temporal copy and SFENCE", block_bytes, 1024,
         [=](std::size_t at) { raw_copy_block(media + at); }},
        {"4 KiB, daxpin_memcpy_persist", block_bytes, 1024,
         [=](std::size_t at) {
             check_library(daxpin_memcpy_persist(map, media + at, source.data(), block_bytes),
                           "daxpin_memcpy_persist");
         }},
        {"4 KiB, pwrite, other", block_bytes, 1024,
         [=](std::size_t at) { write_to(other, block_bytes, at); }},
    };
}

} // namespace

int main(int argc, char **argv) {
    std::string path;
    std::string other_path;
    unsigned rounds = 200;
    CLI::App app("What it costs to make a few bytes durable", "persist-bench");
    app.add_option("FILE", path, "pinned, on a daxpin filesystem")->required();
    app.add_option("OTHER", other_path, "on the filesystem to compare with")->required();
    app.add_option("--rounds", rounds, "samples of each");
    CLI11_PARSE(app, argc, argv);
    if (!__builtin_cpu_supports("avx") || !__builtin_cpu_supports("clwb"))
        fail("this processor has no AVX or no CLWB");
    source.fill(std::byte{0x5a});

    const int file = opened(path);
    const int other = opened(other_path);
    daxpin_map *map = nullptr;
    check_library(daxpin_map_new(&map, file, 0, window_bytes, 0), path.c_str());
    auto ways = all_ways(map, file, other);
    for (unsigned round = 0; round <= rounds; ++round) {
        for (Way &way : ways)
            sample(way);
        if (round == 0) // the page tables, and what the daemon has to learn
            std::for_each(ways.begin(), ways.end(), [](Way &way) { way.samples.clear(); });
    }
    for (const Way &way : ways)
        std::printf("%s\t%.2f\n", way.name, daxpin::bench::median(way.samples));
    daxpin_map_delete(&map);
    close(file);
    close(other);
}
