// SPDX-License-Identifier: BSD-3-Clause
//
// Marks: dirty tracking by marks that the program sets, one bit for each 4 KiB page and, if fine,
// one for each cache line of 64 bytes.
//
// The bits are in memory that fork() shares, so that a family of processes knows of each other's
// marks. Only those parts of it take memory whose pages were marked. mark() sets a fine bit and
// then, if it is clear, the page's: where that one is clear, lines are marked only by a mark() that
// has not returned (and may never, if its process was killed) or of a page that somebody is taking.
#pragma once

#include "client/address_range.h"
#include "client/dirty_tracker.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

namespace daxpin::client {

class Marks final : public DirtyTracker {
  public:
    enum class Grain { line, page };
    // For a mapping of up to `capacity` bytes. ERRORS: out_of_memory.
    static Result<std::unique_ptr<DirtyTracker>> make(Grain grain, std::size_t capacity);

    void mark(std::size_t offset, std::size_t length) override;
    void mark_all() override { mark(0, reach_->load()); }
    Result<void> take(std::size_t offset, std::size_t length, const Flush &flush) override;
    Result<void> extend(std::size_t size) override;

  private:
    using Word = std::atomic<std::uint64_t>;
    Marks(AddressRange memory, std::size_t pages, bool fine);
    void mark_page(std::size_t page); // of fine marks
    void take_page(std::size_t page, std::size_t from, std::size_t to, const Flush &flush);

    AddressRange memory_;
    Word *reach_ = nullptr; // bytes, what the largest mapping of the family has
    std::span<Word> pages_; // bit n: page n
    std::span<Word> lines_; // word n: the lines of page n; empty if not fine
};

} // namespace daxpin::client
