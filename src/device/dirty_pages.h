// SPDX-License-Identifier: BSD-3-Clause
//
// DirtyPages: what each thread has flushed on a device of domain page and not drained yet.
//
// libpmem2's flush cannot report a failed msync, so the ranges are kept here and written back at
// the drain, errors checked. Thread-safe; a thread drains only what it recorded itself.
#pragma once

#include "base/result.h"
#include "base/sync.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <thread>
#include <unordered_map>
#include <vector>

namespace daxpin::device {

class DirtyPages {
  public:
    explicit DirtyPages(std::span<std::byte> mapping) : mapping_(mapping) {}

    // Notes [offset, offset + length) for the calling thread. Cannot fail: it is stored already.
    void record(std::uint64_t offset, std::uint64_t length) noexcept EXCLUDES(mutex_);

    // Writes back what the calling thread recorded.
    // ERRORS: io if the medium failed, now or ever before: the kernel reports a lost page to one
    // caller only, so from then on no drain may claim success.
    Result<void> drain() EXCLUDES(mutex_);

  private:
    struct Range { // bytes, whole pages
        std::uint64_t begin = 0;
        std::uint64_t end = 0;
    };
    using Ranges = std::vector<Range>;

    static void merge(Ranges &ranges);
    void remember(Range range) REQUIRES(mutex_);
    bool write_back_shared() EXCLUDES(mutex_);
    Ranges take() EXCLUDES(mutex_);
    bool write_back(Range range);

    std::span<std::byte> mapping_;
    std::atomic<bool> failed_ = false;
    Mutex mutex_;
    // Keyed by thread, not thread-local: a device may end before the threads that used it.
    std::unordered_map<std::thread::id, Ranges> ranges_ GUARDED_BY(mutex_);
    // What there was no memory to keep by thread; empty if it ends at 0.
    Range shared_ GUARDED_BY(mutex_);
    std::uint64_t shared_version_ GUARDED_BY(mutex_) = 0;
};

} // namespace daxpin::device
