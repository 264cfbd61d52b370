// SPDX-License-Identifier: BSD-3-Clause
//
// Extent maps and directories by size, 10 to 10 million: looking one up, putting one in and taking
// one out (each a transaction of its own, durable), and reading a directory; processor time. What
// is looked up is scattered over all that there is. The largest take a minute to be made, and 1.5
// GiB.
//
//   build-release/bench/tree-bench --benchmark_filter='directory/.*/10000$'
#include "alloc/transaction.h"
#include "extent_map/extent_map.h"
#include "inode/directory.h"
#include "medium.h"

#include <algorithm>
#include <benchmark/benchmark.h>
#include <cstdio>
#include <dirent.h>

namespace {

using namespace daxpin;
using alloc::Transaction;
using bench::must;
using bench::scramble;

constexpr std::uint64_t device_bytes = std::uint64_t{8} << 30;
constexpr std::uint64_t sizes[] = {10, 100, 1000, 10'000, 100'000, 1'000'000, 10'000'000};
constexpr std::uint64_t batch = 64; // changes that are timed at a time
constexpr std::uint64_t listed_at_once = 1024;
constexpr std::uint64_t noteworthy = 1'000'000; // so many take some seconds

// A collection of numbered members 0, 1, ... of some kind, and of strangers that come and go.
class Collection {
  public:
    virtual ~Collection() = default;
    virtual void grow(std::uint64_t from, std::uint64_t to) = 0;
    virtual bool find(std::uint64_t member) = 0;
    virtual Result<void> insert(Transaction &tx, std::uint64_t stranger) = 0;
    virtual Result<void> erase(Transaction &tx, std::uint64_t stranger) = 0;
    // Visits members from somewhere on, at most `listed_at_once`; how many there were.
    virtual std::uint64_t list(std::uint64_t) { return 0; }

    bench::Layers &layers() { return layers_; }
    std::uint64_t size() const { return size_; }
    void grow_to(std::uint64_t size) {
        if (size >= noteworthy && size > size_)
            std::fprintf(stderr, "making %s of %llu\n", name_,
                         static_cast<unsigned long long>(size));
        grow(size_, size);
        size_ = size;
    }

  protected:
    explicit Collection(const char *name) : name_(name) {}
    // Calls insert(tx, i) for all of [from, to), many in one transaction.
    template <typename Insert> void insert_all(std::uint64_t from, std::uint64_t to, Insert one) {
        for (std::uint64_t at = from; at < to; at += batch) {
            layers_.transact([&](Transaction &tx) -> Result<void> {
                for (std::uint64_t i = at; i < std::min(to, at + batch); ++i)
                    DAXPIN_TRY(one(tx, i));
                return {};
            });
            layers_.housekeep();
        }
    }

  private:
    const char *name_;
    bench::Layers layers_{device_bytes, device::Domain::cache_line};
    std::uint64_t size_ = 0;
};

// A sparse file: member i is its block 4 i, a stranger lies two behind a member. No two touch.
class Extents final : public Collection {
  public:
    Extents() : Collection("a file with extents") {}

    void grow(std::uint64_t from, std::uint64_t to) override {
        insert_all(from, to,
                   [&](Transaction &tx, std::uint64_t i) { return map_.insert(tx, member(i)); });
    }
    bool find(std::uint64_t i) override {
        const auto found = must(map_.at_or_after(nullptr, member(i).first));
        return found && found->first == member(i).first;
    }
    Result<void> insert(Transaction &tx, std::uint64_t i) override {
        return map_.insert(tx, stranger(i));
    }
    Result<void> erase(Transaction &tx, std::uint64_t i) override {
        DAXPIN_TRY(map_.remove(tx, stranger(i).first, BlockCount{1}));
        return {};
    }

  private:
    static constexpr std::uint64_t spacing = 4;
    // Any block will do: who owns it is of no interest to the map.
    static extent_map::Extent at(std::uint64_t block) {
        const std::uint64_t media = 1 + block * 3 % (device_bytes / block_size - 2);
        return {FileBlock{block}, MediaBlock::at(0, media), BlockCount{1}, false};
    }
    static extent_map::Extent member(std::uint64_t i) { return at(i * spacing); }
    extent_map::Extent stranger(std::uint64_t i) const {
        return at(i % size() * spacing + spacing / 2);
    }

    extent_map::ExtentMap map_{layers().tree(), InodeNumber{1000}};
};

class Names final : public Collection {
  public:
    Names() : Collection("a directory with entries") {}

    // By the million in the order of their places: nodes are in the cache then.
    void grow(std::uint64_t from, std::uint64_t to) override {
        for (std::uint64_t at = from; at < to; at += noteworthy)
            grow_by_place(at, std::min(to, at + noteworthy));
    }
    bool find(std::uint64_t i) override {
        return must(directory_.find(nullptr, member(i))).has_value();
    }
    Result<void> insert(Transaction &tx, std::uint64_t i) override {
        return directory_.insert(tx, stranger(i), entry(i));
    }
    Result<void> erase(Transaction &tx, std::uint64_t i) override {
        return directory_.erase(tx, stranger(i));
    }
    std::uint64_t list(std::uint64_t i) override {
        std::uint64_t count = 0;
        const auto visit = [&](std::uint64_t, std::string_view, const inode::Entry &) {
            return ++count < listed_at_once;
        };
        const auto from = inode::first_place(inode::name_hash(secret, member(i)));
        must(directory_.list(size() <= listed_at_once ? 0 : from, visit));
        return count;
    }

  private:
    static constexpr HashKey secret{std::byte{1}};
    static std::string member(std::uint64_t i) { return "old" + std::to_string(i); }
    static std::string stranger(std::uint64_t i) { return "new" + std::to_string(i); }
    static inode::Entry entry(std::uint64_t i) {
        return {InodeNumber{format::first_free_inode + i % noteworthy}, i, DT_REG};
    }
    void grow_by_place(std::uint64_t from, std::uint64_t to) {
        std::vector<std::pair<std::uint64_t, std::uint64_t>> places;
        for (std::uint64_t i = from; i < to; ++i)
            places.emplace_back(inode::name_hash(secret, member(i)), i);
        std::ranges::sort(places);
        insert_all(0, places.size(), [&](Transaction &tx, std::uint64_t i) {
            return directory_.insert(tx, member(places[i].second), entry(places[i].second));
        });
    }

    inode::Directory directory_{layers().tree(), secret, InodeNumber{1000}};
};

std::unique_ptr<Collection> present; // of what is measured now; it grows
std::uint64_t turn = 0;              // strangers never come twice

template <typename Kind> Collection &prepare(const benchmark::State &state) {
    const auto size = static_cast<std::uint64_t>(state.range(0));
    if (dynamic_cast<Kind *>(present.get()) == nullptr || present->size() > size) {
        present.reset();
        present = std::make_unique<Kind>();
    }
    if (present->size() < size)
        present->grow_to(size);
    return *present;
}

template <typename Kind> void lookup(benchmark::State &state) {
    Collection &all = prepare<Kind>(state);
    for (auto _ : state)
        if (!all.find(scramble(turn++) % all.size()))
            state.SkipWithError("a member is missing");
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

template <typename Kind> void list(benchmark::State &state) {
    Collection &all = prepare<Kind>(state);
    std::uint64_t count = 0;
    for (auto _ : state)
        count += all.list(scramble(turn++) % all.size());
    state.SetItemsProcessed(static_cast<std::int64_t>(count));
}

using Change = Result<void> (Collection::*)(Transaction &, std::uint64_t);

void change_one_by_one(Collection &all, const std::vector<std::uint64_t> &which, Change change) {
    for (const std::uint64_t one : which)
        all.layers().transact([&](Transaction &tx) { return (all.*change)(tx, one); });
    all.layers().housekeep();
}

// Strangers come and go; one of both is timed.
template <typename Kind> void change(benchmark::State &state, bool insertion) {
    Collection &all = prepare<Kind>(state);
    const auto count = std::min(batch, all.size());
    std::vector<std::uint64_t> strangers(count);
    for (auto _ : state) {
        const auto begin = scramble(turn++) % all.size();
        // Far from each other, and all different for extents, which have a place for each member.
        for (std::uint64_t i = 0; i < count; ++i)
            strangers[i] =
                begin + i * (all.size() / count) + (turn << 32) / all.size() * all.size();
        const double start = bench::processor_seconds();
        change_one_by_one(all, strangers, &Collection::insert);
        const double middle = bench::processor_seconds();
        change_one_by_one(all, strangers, &Collection::erase);
        const double end = bench::processor_seconds();
        state.SetIterationTime(insertion ? middle - start : end - middle);
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * count));
}

template <typename Kind> void insert(benchmark::State &state) {
    change<Kind>(state, true);
}
template <typename Kind> void erase(benchmark::State &state) {
    change<Kind>(state, false);
}

using Body = void (*)(benchmark::State &);

void add(const std::string &name, Body body, std::uint64_t size, bool manual) {
    auto *made = benchmark::RegisterBenchmark(name.c_str(), body);
    made->Arg(static_cast<std::int64_t>(size));
    if (manual)
        made->UseManualTime();
}

// Size by size, so that each collection is made once.
template <typename Kind> void add_kind(const std::string &name) {
    for (const std::uint64_t size : sizes) {
        add(name + "/lookup", lookup<Kind>, size, false);
        add(name + "/insert", insert<Kind>, size, true);
        add(name + "/erase", erase<Kind>, size, true);
        if (std::is_same_v<Kind, Names>)
            add(name + "/list", list<Kind>, size, false);
    }
}

} // namespace

int main(int argc, char **argv) {
    add_kind<Extents>("extents");
    add_kind<Names>("directory");
    const int status = bench::run_registered(argc, argv);
    present.reset();
    return status;
}
