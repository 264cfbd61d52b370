// SPDX-License-Identifier: BSD-3-Clause
//
// The block allocator: blocks are taken, and in a second transaction freed, both committed
// (allocate_free); or they are taken and given back by abort (search): what the choice costs
// without journal and bitmaps. On a device that is empty, 50 % and 99 % full, or of which every
// second block is free (fragmented). A request is one run where there is one, else many.
//
//   build-release/bench/alloc-bench --benchmark_filter=search
#include "alloc/transaction.h"
#include "medium.h"

#include <algorithm>
#include <benchmark/benchmark.h>

namespace {

using namespace daxpin;
using alloc::Transaction;
using bench::must;

constexpr std::uint64_t device_bytes = std::uint64_t{4} << 30;
constexpr unsigned threads_max = 2;
constexpr unsigned turns_between_looks = 64;
constexpr std::uint64_t blocks_at_once = 16384; // of one transaction that fills or frees

enum class Fill { empty, half, nearly_full, fragmented };
constexpr std::pair<const char *, Fill> fills[] = {{"empty", Fill::empty},
                                                   {"50%", Fill::half},
                                                   {"99%", Fill::nearly_full},
                                                   {"fragmented", Fill::fragmented}};

Result<std::vector<MediaRun>> take(Transaction &tx, std::uint64_t blocks) {
    std::vector<MediaRun> runs;
    while (blocks > 0) {
        DAXPIN_TRY_ASSIGN(const MediaRun run, tx.allocate_data({.count = BlockCount{blocks}}));
        runs.push_back(run);
        blocks -= run.count.value;
    }
    return runs;
}

class Site {
  public:
    explicit Site(Fill wanted) : layers_(device_bytes, device::Domain::cache_line) {
        const auto free_blocks = layers_.allocator().space().free_blocks;
        if (wanted == Fill::half)
            take_all(free_blocks / 2);
        else if (wanted == Fill::nearly_full)
            take_all(free_blocks / 100 * 99);
        else if (wanted == Fill::fragmented)
            free_every_second(take_all(free_blocks));
        free(allocate(1)); // takes back what waits
    }
    bench::Layers &layers() { return layers_; }

    std::vector<MediaRun> allocate(std::uint64_t blocks) {
        // A purpose that may have the last block.
        return must(alloc::transact(layers_.allocator(), alloc::Purpose::release,
                                    [&](Transaction &tx) { return take(tx, blocks); }));
    }
    void free(const std::vector<MediaRun> &runs) {
        layers_.transact([&](Transaction &tx) {
            for (const MediaRun &run : runs)
                tx.free_data(run);
            return Result<void>{};
        });
    }

  private:
    std::vector<MediaRun> take_all(std::uint64_t blocks) {
        std::vector<MediaRun> all;
        for (std::uint64_t left = blocks; left > 0; left -= std::min(left, blocks_at_once)) {
            const auto taken = allocate(std::min(left, blocks_at_once));
            all.insert(all.end(), taken.begin(), taken.end());
            layers_.housekeep();
        }
        return all;
    }
    void free_every_second(const std::vector<MediaRun> &all) {
        for (const MediaRun &run : all) {
            std::vector<MediaRun> singles;
            for (std::uint64_t i = 0; i < run.count.value; i += 2)
                singles.push_back({run.start + BlockCount{i}, BlockCount{1}});
            free(singles);
            layers_.housekeep();
        }
    }

    bench::Layers layers_;
};

bench::Shared<Fill, Site> site;

void allocate_free(benchmark::State &state, Fill fill) {
    site.prepare(state.thread_index(), fill);
    const auto blocks = static_cast<std::uint64_t>(state.range(0));
    std::uint64_t i = 0;
    for (auto _ : state) {
        site->free(site->allocate(blocks));
        if (bench::is_due(++i, turns_between_looks, state.thread_index()))
            site->layers().housekeep();
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

void search(benchmark::State &state, Fill fill) {
    site.prepare(state.thread_index(), fill);
    const auto blocks = static_cast<std::uint64_t>(state.range(0));
    for (auto _ : state) {
        Transaction tx(site->layers().allocator());
        benchmark::DoNotOptimize(must(take(tx, blocks)));
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

void register_all() {
    using Body = void (*)(benchmark::State &, Fill);
    for (const auto &[fill_name, fill] : fills)
        for (const auto &[name, body] :
             {std::pair<const char *, Body>{"search", search}, {"allocate_free", allocate_free}}) {
            const auto full_name = std::string("alloc/") + name + "/" + fill_name + "/blocks";
            auto *made = benchmark::RegisterBenchmark(
                full_name.c_str(),
                [body = body, fill = fill](benchmark::State &state) { body(state, fill); });
            made->Arg(1)->Arg(16)->Arg(512)->UseRealTime()->ThreadRange(1, threads_max);
        }
}

} // namespace

int main(int argc, char **argv) {
    register_all();
    const int status = bench::run_registered(argc, argv);
    site.reset();
    return status;
}
