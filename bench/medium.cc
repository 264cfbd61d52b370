// SPDX-License-Identifier: BSD-3-Clause
#include "medium.h"

#include "device/label.h"
#include "device/open.h"
#include "volume/format.h"

#include <algorithm>
#include <benchmark/benchmark.h>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace daxpin::bench {

namespace {

constexpr const char *device_variable = "DAXPIN_BENCH_DEVICE";
constexpr const char *folder_variable = "DAXPIN_BENCH_FOLDER";
constexpr std::uint64_t ring_and_bitmaps_bytes = std::uint64_t{128} << 20;

std::string make_file(std::uint64_t bytes) {
    static unsigned count = 0;
    const char *const folder = std::getenv(folder_variable);
    std::string path = std::string(folder != nullptr ? folder : "/dev/shm") + "/daxpin-bench-" +
                       std::to_string(getpid()) + "-" + std::to_string(count++);
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, static_cast<off_t>(bytes)) != 0) {
        std::perror(path.c_str());
        std::exit(1);
    }
    close(fd);
    return path;
}

} // namespace

device::DeviceTable open_medium(std::uint64_t bytes, device::Domain domain) {
    const char *const named = std::getenv(device_variable);
    const std::string path = named != nullptr ? named : make_file(bytes);
    device::OpenOptions options;
    options.domain = domain;
    std::vector<std::unique_ptr<device::Device>> devices;
    auto opened = device::open_device(path, options);
    if (named == nullptr)
        unlink(path.c_str());
    devices.push_back(must(std::move(opened)));
    return device::DeviceTable(std::move(devices));
}

device::DeviceTable open_formatted(std::uint64_t bytes, device::Domain domain) {
    auto devices = open_medium(bytes, domain);
    populate(devices, ring_and_bitmaps_bytes);
    must(volume::format_volume(devices, {}, system_env()));
    return devices;
}

void populate(const device::DeviceTable &devices, std::uint64_t bytes) {
    const auto view = devices.metadata().view();
    // What fails is populated by whoever uses it.
    static_cast<void>(madvise(const_cast<std::byte *>(view.data()),
                              std::min<std::uint64_t>(bytes, view.size()), MADV_POPULATE_WRITE));
}

Layers::Layers(std::uint64_t bytes, device::Domain domain)
    : devices_(open_formatted(bytes, domain)),
      superblock_(must(device::read_superblock(devices_.metadata()))),
      journal_(
          must(journal::Journal::open(devices_, journal::geometry_of(superblock_), system_env()))),
      allocator_(must(alloc::Allocator::open(*journal_, superblock_))),
      tree_(std::make_unique<btree::Tree>(*journal_, MediaBlock::at(0, superblock_.root))) {}

void bind_to_processor(int thread) {
    static const cpu_set_t allowed = [] {
        cpu_set_t set;
        CPU_ZERO(&set);
        sched_getaffinity(0, sizeof set, &set);
        return set;
    }();
    const int count = CPU_COUNT(&allowed);
    int left = count > 0 ? thread % count : 0;
    for (std::size_t processor = 0; processor < CPU_SETSIZE; ++processor)
        if (CPU_ISSET(processor, &allowed) && left-- == 0) {
            cpu_set_t own;
            CPU_ZERO(&own);
            CPU_SET(processor, &own);
            sched_setaffinity(0, sizeof own, &own);
        }
}

int run_registered(int argc, char **argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 1;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}

} // namespace daxpin::bench
