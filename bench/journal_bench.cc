// SPDX-License-Identifier: BSD-3-Clause
//
// The journal: one transaction that changes so many bytes of checked units, from edit() to the end
// of its home writes, with its share of a checkpoint (commit); and this share alone (checkpoint).
// Each thread has units of its own, so what two threads share is the ring.
//
//   build-release/bench/journal-bench --benchmark_filter=cache_line
#include "journal/transaction.h"
#include "medium.h"

#include <algorithm>
#include <benchmark/benchmark.h>
#include <cstring>

namespace {

using namespace daxpin;
using bench::must;
using device::Domain;

constexpr std::uint64_t device_bytes = std::uint64_t{4} << 30; // gets the longest ring
constexpr std::size_t unit_header = 8;                         // its checksum, in a whole word
constexpr std::uint64_t bytes_max = 65536;
constexpr unsigned threads_max = 2;
constexpr std::uint64_t units_each = bytes_max / (block_size - unit_header) + 1;
constexpr unsigned commits_between_looks = 64;

struct Site {
    explicit Site(Domain domain) : layers(device_bytes, domain) {
        journal::Transaction tx(layers.journal());
        for (std::uint64_t i = 0; i < threads_max * units_each; ++i)
            must(tx.create(unit(0, i)));
        must(tx.commit());
    }
    // Blocks that nothing else on this volume uses.
    MediaBlock unit(int thread, std::uint64_t i) const {
        const auto first = layers.superblock().devices[0].block_count / 2;
        return MediaBlock::at(0, first + static_cast<std::uint64_t>(thread) * units_each + i);
    }
    bench::Layers layers;
};

bench::Shared<Domain, Site> site;

void commit(int thread, std::uint64_t bytes, std::uint8_t value) {
    journal::Transaction tx(site->layers.journal());
    for (std::uint64_t i = 0; bytes > 0; ++i) {
        auto *const unit = must(tx.edit(site->unit(thread, i)));
        const auto part = std::min<std::uint64_t>(bytes, block_size - unit_header);
        std::memset(unit + unit_header, value, part);
        bytes -= part;
    }
    must(tx.commit());
}

// The part of a commit's cost that comes later: per record.
void checkpoint(benchmark::State &state, Domain domain) {
    site.prepare(state.thread_index(), domain);
    const auto bytes = static_cast<std::uint64_t>(state.range(0));
    std::uint8_t value = 0;
    for (auto _ : state) {
        for (unsigned i = 0; i < commits_between_looks; ++i)
            commit(0, bytes, ++value);
        const double start = bench::processor_seconds();
        site->layers.housekeep();
        state.SetIterationTime(bench::processor_seconds() - start);
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * commits_between_looks));
}

void commit_bytes(benchmark::State &state, Domain domain) {
    site.prepare(state.thread_index(), domain);
    const auto bytes = static_cast<std::uint64_t>(state.range(0));
    std::uint64_t i = 0;
    journal::Sequence before = 0;
    for (auto _ : state) {
        if (i == 0)
            before = site->layers.journal().head();
        commit(state.thread_index(), bytes, static_cast<std::uint8_t>(++i));
        if (bench::is_due(i, commits_between_looks, state.thread_index()))
            site->layers.housekeep();
    }
    if (state.threads() == 1)
        state.counters["record_bytes"] =
            static_cast<double>(site->layers.journal().head() - before) /
            static_cast<double>(state.iterations());
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * bytes));
}

void register_all() {
    for (const Domain domain : {Domain::cache_line, Domain::byte}) {
        const auto name = std::string("journal/") + device::to_string(domain);
        benchmark::RegisterBenchmark(
            (name + "/checkpoint").c_str(),
            [domain](benchmark::State &state) { checkpoint(state, domain); })
            ->RangeMultiplier(4)
            ->Range(64, bytes_max)
            ->UseManualTime();
        benchmark::RegisterBenchmark(
            (name + "/commit").c_str(),
            [domain](benchmark::State &state) { commit_bytes(state, domain); })
            ->RangeMultiplier(4)
            ->Range(64, bytes_max)
            ->ThreadRange(1, threads_max)
            ->UseRealTime();
    }
}

} // namespace

int main(int argc, char **argv) {
    register_all();
    const int status = bench::run_registered(argc, argv);
    site.reset();
    return status;
}
