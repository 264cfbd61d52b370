// SPDX-License-Identifier: BSD-3-Clause
//
// Removals: files without name and users are freed, in steps of bounded size.
//
// Small ones go some at a time in one transaction, soon; of large ones the rest is left to
// background_step(), as is everything that an earlier mount left behind. Thread-safe; one removal
// at a time works on an inode.
#pragma once

#include "alloc/transaction.h"
#include "base/sync.h"
#include "inode/inode_table.h"

#include <atomic>
#include <cstdint>
#include <span>
#include <unordered_set>
#include <vector>

namespace daxpin::volume {

class Engine;
class Freeing;
struct StepLimit;

class Removals {
  public:
    explicit Removals(Engine &engine) : engine_(engine) {}
    Removals(const Removals &) = delete;
    Removals &operator=(const Removals &) = delete;

    // Frees orphans once there are enough of them for a transaction, or one has many blocks.
    void reap();
    // The same whatever there is. True if there was something. Inode locks may be held: nobody has
    // those that are freed.
    bool reap_all();
    // One transaction's worth of a file that is listed for removal. True if there is more of it.
    Result<bool> go_on(InodeNumber number);

    // Grows with each removal that has freed something.
    std::uint64_t done() const { return done_.load(); }
    // True if files were freed since done() was `seen`, by this thread or by another one, which is
    // waited for. Inode locks may be held, but no lock below them, and not by a thread that is
    // itself freeing files.
    bool make_space(std::uint64_t seen);

  private:
    using Transaction = alloc::Transaction;
    class Running;
    class Claims;
    // How far one transaction came with inodes that are to be removed.
    struct Step {
        std::size_t done; // so many of them need no more work
        bool begun;       // the next one is gone in part
        bool any = false; // something was taken away
    };
    Result<Step> step(std::span<const InodeNumber> numbers);
    // What a transaction takes away: inodes, and blocks.
    struct Taken;
    Result<Step> remove_some(Transaction &tx, std::span<const InodeNumber> numbers,
                             const Claims &claims, Taken &taken);
    Result<void> remove_all(std::span<const InodeNumber> numbers);
    Result<bool> remove_part(Transaction &tx, inode::Attributes orphan, StepLimit &limit,
                             Freeing &freeing);
    Result<void> remove_inode(Transaction &tx, const inode::Attributes &orphan);
    bool remove_left();
    Result<bool> take_listed();
    bool await_another(std::uint64_t seen);

    Engine &engine_;
    std::atomic<bool> any_left_{true}; // an earlier mount may have left some
    Mutex mutex_;                      // a leaf
    std::unordered_set<InodeNumber> claims_ GUARDED_BY(mutex_); // removals under way
    unsigned running_ GUARDED_BY(mutex_) = 0;                   // threads in them
    std::atomic<std::uint64_t> done_{0};                        // changed under mutex_
    CondVar ended_;
};

} // namespace daxpin::volume
