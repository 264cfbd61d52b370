// SPDX-License-Identifier: BSD-3-Clause
//
// What the benchmarks of the engine share: a medium, the layers on it, what threads share, a main
// function.
//
// The medium is a sparse file in /dev/shm, or in the folder that DAXPIN_BENCH_FOLDER names; it goes
// with the process, its domain is assumed. DAXPIN_BENCH_DEVICE names another one, whose content is
// lost. A failure ends the program.
#pragma once

#include "alloc/allocator.h"
#include "btree/tree.h"
#include "device/device_table.h"
#include "figures.h"
#include "journal/journal.h"
#include "must.h"

#include <memory>

namespace daxpin::bench {

// DAXPIN_BENCH_DEVICE has the size that it has.
device::DeviceTable open_medium(std::uint64_t bytes, device::Domain domain);
// The same with a new volume on it.
device::DeviceTable open_formatted(std::uint64_t bytes, device::Domain domain);
// Has the kernel find memory for the first so many bytes and map them, as far as there is some:
// what that costs at the first use is no part of any operation.
void populate(const device::DeviceTable &devices, std::uint64_t bytes);

// The layers below the volume, on a new one.
class Layers {
  public:
    Layers(std::uint64_t bytes, device::Domain domain);

    const format::Superblock &superblock() const { return superblock_; }
    journal::Journal &journal() { return *journal_; }
    alloc::Allocator &allocator() { return *allocator_; }
    btree::Tree &tree() { return *tree_; }

    // Runs `body(tx)` as one committed transaction.
    template <typename Body> void transact(Body &&body) {
        must(alloc::transact(*allocator_, alloc::Purpose::ordinary,
                             [&](alloc::Transaction &tx) { return body(tx); }));
    }
    // To be called now and then, for its cost belongs to the transactions; often, so that each run
    // has its share.
    void housekeep() { must(journal_->checkpoint()); }

  private:
    device::DeviceTable devices_;
    format::Superblock superblock_;
    std::unique_ptr<journal::Journal> journal_;
    std::unique_ptr<alloc::Allocator> allocator_;
    std::unique_ptr<btree::Tree> tree_;
};

// A number that looks random, and is another one for each `i`.
constexpr std::uint64_t scramble(std::uint64_t i) {
    i = (i ^ (i >> 30)) * 0xbf58476d1ce4e5b9U;
    i = (i ^ (i >> 27)) * 0x94d049bb133111ebU;
    return i ^ (i >> 31);
}

// Binds the calling thread to a processor of its own, as far as there are some. Two threads on one
// processor wait for each other by the time slice.
void bind_to_processor(int thread);

// What the threads of a benchmark share: made by thread 0, anew when another one is wanted; the
// others use it within the loop, not before.
template <typename Wanted, typename Site> class Shared {
  public:
    // At the beginning of each benchmark.
    void prepare(int thread, const Wanted &wanted) {
        bind_to_processor(thread);
        if (thread != 0 || (site_ && wanted_ == wanted))
            return;
        site_.reset(); // first, for two may not fit
        site_ = std::make_unique<Site>(wanted);
        wanted_ = wanted;
    }
    Site *operator->() { return site_.get(); }
    void reset() { site_.reset(); } // at the end of main()

  private:
    Wanted wanted_{};
    std::unique_ptr<Site> site_;
};

// Whether it is the turn of this thread to look after what all share; two do not at once.
constexpr bool is_due(std::uint64_t turn, std::uint64_t period, int thread) {
    return turn % period == (thread % 2 == 0 ? 0 : period / 2);
}

// For main(): Google Benchmark's options.
int run_registered(int argc, char **argv);

} // namespace daxpin::bench
