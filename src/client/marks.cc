// SPDX-License-Identifier: BSD-3-Clause
#include "client/marks.h"

#include <algorithm>
#include <bit>

namespace daxpin::client {

namespace {

constexpr std::size_t page_bytes = 4096;
constexpr std::size_t line_bytes = 64;
constexpr std::size_t word_bits = 64;
static_assert(page_bytes / line_bytes == word_bits, "a word of lines is a page");
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

// Bits [from, to) of a word; to <= 64.
std::uint64_t bits(std::size_t from, std::size_t to) {
    const auto below = [](std::size_t count) {
        return count == word_bits ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
    };
    return below(to) & ~below(from);
}

std::size_t words_for(std::size_t count) {
    return (count + word_bits - 1) / word_bits;
}

// Calls visit(word, bits of it) for the bits [from, to) of an array of words.
template <typename Visit> void each_word(std::size_t from, std::size_t to, Visit visit) {
    while (from < to) {
        const auto word = from / word_bits;
        const auto end = std::min(to, (word + 1) * word_bits);
        visit(word, bits(from % word_bits, end - word * word_bits));
        from = end;
    }
}

// Calls visit(first, end) for each run of set bits.
template <typename Visit> void each_run(std::uint64_t word, Visit visit) {
    while (word != 0) {
        const auto first = static_cast<std::size_t>(std::countr_zero(word));
        const auto end = first + static_cast<std::size_t>(std::countr_one(word >> first));
        visit(first, end);
        word &= ~bits(first, end);
    }
}

} // namespace

Result<std::unique_ptr<DirtyTracker>> Marks::make(Grain grain, std::size_t capacity) {
    const auto pages = (capacity + page_bytes - 1) / page_bytes;
    const bool fine = grain == Grain::line;
    const auto words = 1 + words_for(pages) + (fine ? pages : 0);
    DAXPIN_TRY_ASSIGN(auto memory, AddressRange::shared(words * sizeof(Word)));
    return std::unique_ptr<DirtyTracker>(new Marks(std::move(memory), pages, fine));
}

Marks::Marks(AddressRange memory, std::size_t pages, bool fine) : memory_(std::move(memory)) {
    // Zeroed memory is an array of zero words.
    auto *const words = reinterpret_cast<Word *>(memory_.address());
    reach_ = words;
    pages_ = {words + 1, words_for(pages)};
    if (fine)
        lines_ = {pages_.data() + pages_.size(), pages};
}

Result<void> Marks::extend(std::size_t size) {
    for (auto reach = reach_->load(); reach < size;)
        if (reach_->compare_exchange_weak(reach, size))
            break;
    return {};
}

// The atomic operations are also what orders the program's stores before its mark: a plain look
// at a bit that is set already could pass them.
void Marks::mark(std::size_t offset, std::size_t length) {
    if (length == 0)
        return;
    const auto first_page = offset / page_bytes;
    const auto end_page = (offset + length - 1) / page_bytes + 1;
    if (lines_.empty()) {
        each_word(first_page, end_page,
                  [&](std::size_t word, std::uint64_t set) { pages_[word].fetch_or(set); });
        return;
    }
    each_word(offset / line_bytes, (offset + length - 1) / line_bytes + 1,
              [&](std::size_t page, std::uint64_t set) {
                  lines_[page].fetch_or(set);
                  mark_page(page);
              });
}

// What others marked in the page says nothing of its bit: they may not have come to it yet, or
// never will. In the one order of all these operations, a bit that is found set is cleared after
// the lines were marked, and whoever clears it looks at the lines after that.
void Marks::mark_page(std::size_t page) {
    const auto bit = std::uint64_t{1} << page % word_bits;
    auto &word = pages_[page / word_bits];
    if ((word.load() & bit) == 0)
        word.fetch_or(bit);
}

Result<void> Marks::take(std::size_t offset, std::size_t length, const Flush &flush) {
    if (length == 0)
        return {};
    const auto end = offset + length;
    each_word(offset / page_bytes, (end - 1) / page_bytes + 1,
              [&](std::size_t word, std::uint64_t asked) {
                  if ((pages_[word].load(std::memory_order_relaxed) & asked) == 0)
                      return;
                  const auto taken = pages_[word].fetch_and(~asked) & asked;
                  each_run(taken, [&](std::size_t first, std::size_t last) {
                      const auto page = word * word_bits + first;
                      const auto count = last - first;
                      if (lines_.empty())
                          flush(page * page_bytes, count * page_bytes);
                      else
                          for (auto at = page; at < page + count; ++at)
                              take_page(at, offset, end, flush);
                  });
              });
    return {};
}

void Marks::take_page(std::size_t page, std::size_t from, std::size_t to, const Flush &flush) {
    const auto start = page * page_bytes;
    const auto first = from > start ? (from - start) / line_bytes : 0;
    const auto end = std::min(word_bits, (to - start + line_bytes - 1) / line_bytes);
    const auto asked = bits(first, end);
    const auto before = lines_[page].fetch_and(~asked);
    if ((before & ~asked) != 0)
        mark_page(page);
    each_run(before & asked, [&](std::size_t line, std::size_t last) {
        flush(start + line * line_bytes, (last - line) * line_bytes);
    });
}

} // namespace daxpin::client
