// SPDX-License-Identifier: BSD-3-Clause
//
// The engine in process, without FUSE: what one durable operation costs. The medium is a file in
// /dev/shm in domain cache_line, which is assumed; DAXPIN_BENCH_DEVICE names another device.
//
//   build/bench/engine-bench --benchmark_filter=create
#include "device/open.h"
#include "volume/format.h"
#include "volume/volume.h"

#include <benchmark/benchmark.h>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <unistd.h>

namespace {

using namespace daxpin;
using volume::Volume;

constexpr std::uint64_t device_bytes = std::uint64_t{4} << 30;

template <typename T> T must(Result<T> result) {
    if (!result) {
        std::fprintf(stderr, "engine-bench: %s\n", describe(result.error()).c_str());
        std::exit(1);
    }
    return *std::move(result);
}

void must(Result<void> result) {
    if (!result) {
        std::fprintf(stderr, "engine-bench: %s\n", describe(result.error()).c_str());
        std::exit(1);
    }
}

// A sparse file that disappears with the process's descriptors.
std::string make_medium() {
    if (const char *device = std::getenv("DAXPIN_BENCH_DEVICE"))
        return device;
    std::string path = "/dev/shm/daxpin-bench-" + std::to_string(getpid());
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, static_cast<off_t>(device_bytes)) != 0) {
        std::perror(path.c_str());
        std::exit(1);
    }
    close(fd);
    return path;
}

class Bench {
  public:
    explicit Bench(std::uint64_t files) {
        const auto path = make_medium();
        device::OpenOptions options;
        options.domain = device::Domain::cache_line;
        std::vector<std::unique_ptr<device::Device>> devices;
        devices.push_back(must(device::open_device(path, options)));
        if (std::getenv("DAXPIN_BENCH_DEVICE") == nullptr)
            unlink(path.c_str());
        device::DeviceTable table(std::move(devices));
        must(volume::format_volume(table, {}, system_env()));
        volume_ = must(Volume::open(std::move(table), system_env(), {}));
        must(volume_->lookup(root, ".")); // as the kernel holds a directory that is worked in
        for (std::uint64_t i = 0; i < files; ++i)
            create("old" + std::to_string(i));
    }

    Volume &volume() { return *volume_; }

    InodeNumber create(const std::string &name) {
        const auto made = must(volume_->create({}, root, name, {.mode = 0100644}, {.write = true}));
        volume_->release(made.attributes.number, made.open.handle);
        volume_->forget(made.attributes.number, 1);
        return made.attributes.number;
    }

    static constexpr InodeNumber root{format::root_inode};

  private:
    std::unique_ptr<Volume> volume_;
};

std::string name_of(std::uint64_t i) {
    return "new" + std::to_string(i);
}

// What the daemon's thread does now and then; its cost belongs to the operations.
void housekeep(Volume &volume, std::uint64_t i) {
    if (i % 1024 == 0)
        benchmark::DoNotOptimize(must(volume.background_step()));
}

void create_unlink(benchmark::State &state) {
    Bench bench(static_cast<std::uint64_t>(state.range(0)));
    std::uint64_t i = 0;
    for (auto _ : state) {
        const auto name = name_of(i);
        bench.create(name);
        must(bench.volume().unlink({}, Bench::root, name));
        housekeep(bench.volume(), ++i);
    }
}
BENCHMARK(create_unlink)->Arg(1000)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMicrosecond);

void rename_there_and_back(benchmark::State &state) {
    Bench bench(static_cast<std::uint64_t>(state.range(0)));
    bench.create("a");
    std::uint64_t i = 0;
    for (auto _ : state) {
        must(bench.volume().rename({}, Bench::root, "a", Bench::root, "b",
                                   volume::RenameMode::plain));
        must(bench.volume().rename({}, Bench::root, "b", Bench::root, "a",
                                   volume::RenameMode::plain));
        housekeep(bench.volume(), ++i);
    }
}
BENCHMARK(rename_there_and_back)
    ->Arg(1000)
    ->Arg(100'000)
    ->Arg(1'000'000)
    ->Unit(benchmark::kMicrosecond);

void lookup(benchmark::State &state) {
    const auto files = static_cast<std::uint64_t>(state.range(0));
    Bench bench(files);
    std::uint64_t i = 0;
    for (auto _ : state) {
        const auto found =
            must(bench.volume().lookup(Bench::root, "old" + std::to_string(i++ * 7919 % files)));
        bench.volume().forget(found.number, 1);
    }
}
BENCHMARK(lookup)->Arg(1000)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMicrosecond);

void write_4k(benchmark::State &state, bool append) {
    Bench bench(1000);
    const auto made =
        must(bench.volume().create({}, Bench::root, "data", {.mode = 0100644}, {.write = true}));
    const std::vector<std::byte> block(block_size, std::byte{0x5a});
    std::uint64_t i = 0;
    for (auto _ : state) {
        const auto offset = append ? i % 100'000 * block_size : 0;
        benchmark::DoNotOptimize(
            must(bench.volume().write(made.attributes.number, made.open.handle, offset, block)));
        housekeep(bench.volume(), ++i);
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * block_size);
}
BENCHMARK_CAPTURE(write_4k, append, true)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(write_4k, overwrite, false)->Unit(benchmark::kMicrosecond);

} // namespace

BENCHMARK_MAIN();
