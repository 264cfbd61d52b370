// SPDX-License-Identifier: BSD-3-Clause
//
// The device layer: what it costs to make some bytes durable, past the CPU's cache (nontemporal)
// or through it and written back (cached); and where nothing need be written back (domain byte:
// eADR). Into a window that stays in the cache, and into one that does not fit it. And what the
// first store to a block costs whoever maps the memory anew: page faults.
//
//   build-release/bench/stores-bench --benchmark_filter=cold
#include "medium.h"

#include <benchmark/benchmark.h>
#include <cerrno>
#include <cstring>
#include <optional>
#include <sys/mman.h>

namespace {

using namespace daxpin;
using bench::must;
using device::Domain;
using device::StoreKind;

constexpr std::uint64_t size_min = 64;
constexpr std::uint64_t size_max = std::uint64_t{1} << 20;
constexpr std::uint64_t warm_bytes = std::uint64_t{1} << 20;
constexpr std::uint64_t cold_bytes = std::uint64_t{1} << 29;

struct Way {
    const char *name;
    Domain domain;
    StoreKind kind;
};
constexpr Way ways[] = {{"nontemporal", Domain::cache_line, StoreKind::nontemporal},
                        {"cached", Domain::cache_line, StoreKind::cached},
                        {"cached_byte_domain", Domain::byte, StoreKind::cached}};

device::Device &device_of(Domain domain) {
    static Domain present{};
    static std::optional<device::DeviceTable> table;
    if (!table || present != domain) {
        table.reset();
        table.emplace(bench::open_medium(cold_bytes, domain));
        present = domain;
        must(table->metadata().set(0, std::byte{1}, cold_bytes, StoreKind::nontemporal));
        must(table->metadata().drain());
    }
    return table->metadata();
}

// Places follow each other in a window that stays in the cache, and are scattered over the other.
void store(benchmark::State &state, const Way &way, bool cold) {
    device::Device &device = device_of(way.domain);
    const auto size = static_cast<std::uint64_t>(state.range(0));
    const std::vector<std::byte> source(size, std::byte{0x5a});
    const std::uint64_t places = (cold ? cold_bytes : warm_bytes) / size;
    std::uint64_t i = 0;
    for (auto _ : state) {
        const std::uint64_t at = (cold ? bench::scramble(i) : i) % places * size;
        ++i;
        must(device.copy(at, source, way.kind));
        if (way.kind == StoreKind::cached)
            device.flush(at, size);
        must(device.drain());
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * size));
}

// The memory is there already, and mapped by somebody else.
void first_touch(benchmark::State &state) {
    const UniqueFd fd = must(device_of(Domain::cache_line).open_again(true));
    for (auto _ : state) {
        void *const map =
            mmap(nullptr, cold_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
        if (map == MAP_FAILED)
            bench::fail(std::string("the medium cannot be mapped: ") + std::strerror(errno));
        for (std::uint64_t at = 0; at < cold_bytes; at += block_size)
            *(static_cast<volatile char *>(map) + at) = 1;
        state.PauseTiming();
        munmap(map, cold_bytes);
        state.ResumeTiming();
    }
    state.SetItemsProcessed(
        static_cast<std::int64_t>(state.iterations() * (cold_bytes / block_size)));
}

void register_all() {
    for (const Way &way : ways)
        for (const bool cold : {false, true}) {
            const auto name = std::string(cold ? "stores/cold/" : "stores/warm/") + way.name;
            benchmark::RegisterBenchmark(
                name.c_str(), [&way, cold](benchmark::State &state) { store(state, way, cold); })
                ->RangeMultiplier(2)
                ->Range(size_min, size_max);
        }
    benchmark::RegisterBenchmark("stores/first_touch", first_touch);
}

} // namespace

int main(int argc, char **argv) {
    register_all();
    return bench::run_registered(argc, argv);
}
