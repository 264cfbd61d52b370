// SPDX-License-Identifier: BSD-3-Clause
#include "journal/transaction.h"

#include "base/assert.h"
#include "base/checksum.h"
#include "base/checksum_change.h"

#include <algorithm>
#include <array>

namespace daxpin::journal {

namespace {

constexpr std::size_t checksum_bytes = sizeof(le32);
constexpr std::size_t word = 8;
constexpr std::size_t line_bytes = checksum_line_bytes;
constexpr std::size_t part_bytes = 256; // memcmp() is fast where nothing differs
constexpr std::uint64_t part_lines = (std::uint64_t{1} << (part_bytes / line_bytes)) - 1;
constexpr std::uint64_t all_lines = ~std::uint64_t{0};
#ifdef DAXPIN_SLOW_CHECKS
constexpr bool slow_checks = true;
#else
constexpr bool slow_checks = false;
#endif
// Two differing ranges closer than an entry's header are cheaper as one.
constexpr std::size_t merge_gap = sizeof(format::RecordEntry);

// All changes of one unit take at most so much of a record: a range that stands apart saves more
// than its header costs.
constexpr std::size_t entry_bytes_max = block_size + sizeof(format::RecordEntry);

std::size_t padded(std::size_t length) {
    return (length + word - 1) / word * word;
}

void seal_whole(UnitBytes &bytes) {
    const le32 crc = crc32c(std::span<const std::byte>(bytes).subspan(checksum_bytes));
    std::memcpy(bytes.data(), &crc, sizeof crc);
}

// REQUIRES: it holds the checksum that was loaded, and that was right.
void seal_changed(UnitBytes &bytes, std::uint32_t checksum_change) {
    le32 crc;
    std::memcpy(&crc, bytes.data(), sizeof crc);
    crc = crc ^ checksum_change;
    std::memcpy(bytes.data(), &crc, sizeof crc);
}

// Without a branch until the end: most lines are the same.
bool is_same_line(const std::byte *one, const std::byte *other) {
    const auto differing = [&](std::size_t index) {
        std::uint64_t a, b;
        std::memcpy(&a, one + index * word, word);
        std::memcpy(&b, other + index * word, word);
        return a ^ b;
    };
    static_assert(line_bytes == 8 * word);
    return (differing(0) | differing(1) | differing(2) | differing(3) | differing(4) |
            differing(5) | differing(6) | differing(7)) == 0;
}

// Where a unit's bytes differ, and by what its checksum.
class Differences {
  public:
    struct Range {
        std::uint16_t offset;
        std::uint16_t length;
    };

    // Looks at `lines` at least. Of the bytes on the medium: in place, under the conditions of
    // Units::look().
    void compare(const std::byte *was, const std::byte *is, std::uint64_t lines) noexcept {
        differ_ = std::memcmp(was, is, word) != 0;
        for (std::size_t part = 0; part < block_size; part += part_bytes) {
            const bool marked = ((lines >> (part / line_bytes)) & part_lines) != 0;
            if (!marked && !slow_checks)
                continue;
            const bool differs = std::memcmp(was + part, is + part, part_bytes) != 0;
            DAXPIN_ASSERT(marked || !differs);
            if (differs)
                compare_part(was, is, part);
        }
        close_range();
        DAXPIN_ASSERT(!slow_checks || (lines_ & ~lines) == 0);
        if (lines != all_lines)
            checksum_change_ = crc32c_change(was, is, lines_);
    }

    // Whole words, near ones merged. The first range holds the checksum, which is still the one
    // that was loaded, but will change if anything does.
    std::span<const Range> ranges() const { return {ranges_.data(), differ_ ? count_ : 0}; }
    std::uint32_t checksum_change() const { return checksum_change_; }

  private:
    void compare_part(const std::byte *was, const std::byte *is, std::size_t part) noexcept {
        for (std::size_t line = part; line < part + part_bytes; line += line_bytes) {
            if (is_same_line(was + line, is + line))
                continue;
            lines_ |= std::uint64_t{1} << (line / line_bytes);
            for (std::size_t at = line; at < line + line_bytes; at += word)
                if (at > 0 && std::memcmp(was + at, is + at, word) != 0)
                    add_word(at);
        }
    }
    void add_word(std::size_t at) noexcept {
        differ_ = true;
        if (at - end_ > merge_gap) {
            close_range();
            start_ = at;
        }
        end_ = at + word;
    }
    void close_range() noexcept {
        ranges_[count_++] = {static_cast<std::uint16_t>(start_),
                             static_cast<std::uint16_t>(end_ - start_)};
    }

    // A range is a word at least, and more than merge_gap from the next one.
    static constexpr std::size_t count_max = block_size / (2 * word + merge_gap) + 1;
    std::array<Range, count_max> ranges_;
    std::size_t count_ = 0;
    std::size_t start_ = 0;
    std::size_t end_ = word;
    bool differ_ = false;
    std::uint64_t lines_ = 0;
    std::uint32_t checksum_change_ = 0;
};

} // namespace

namespace {

// Space in the ring, given back unless a record takes it.
class Reserved {
  public:
    Reserved(Journal &journal, std::uint64_t length) : journal_(journal), length_(length) {}
    ~Reserved() {
        if (length_ > 0)
            journal_.unreserve(length_);
    }
    Reserved(const Reserved &) = delete;
    Reserved &operator=(const Reserved &) = delete;
    Result<Journal::Unfinished *> append(std::span<std::byte> record, std::uint32_t entry_count) {
        auto appended = journal_.append(record, entry_count);
        length_ = 0; // whatever came of it; but not if memory ran out before
        return appended;
    }

  private:
    Journal &journal_;
    std::uint64_t length_;
};

} // namespace

Transaction::~Transaction() {
    abort();
}

std::byte *Transaction::find(MediaBlock unit) {
    for (auto &shadow : shadows_)
        if (shadow.unit == unit)
            return shadow.bytes->data();
    return nullptr;
}

// With room for it in shadows_: from its lock on, nothing may fail for want of memory.
Transaction::Shadow Transaction::make_shadow(MediaBlock unit, bool fresh) {
    if (shadows_.size() == shadows_.capacity())
        shadows_.reserve(2 * shadows_.size() + 8);
    return {unit, fresh, false, false, 0, 0, make_unit_buffer()};
}

Result<std::byte *> Transaction::load_locked(Shadow shadow) {
    const MediaBlock unit = shadow.unit;
    shadows_.push_back(std::move(shadow));
    UnitBytes &bytes = *shadows_.back().bytes;
    if (auto loaded = journal_.units().load(unit, bytes); !loaded) {
        shadows_.pop_back();
        journal_.units().unlock(unit);
        return std::move(loaded).error();
    }
    return bytes.data();
}

Result<Transaction::Shadow> Transaction::lock_for(MediaBlock unit) {
    DAXPIN_TRY(journal_.units().check_address(unit));
    auto shadow = make_shadow(unit, false);
    must_wait_ = !journal_.units().try_lock(unit);
    if (must_wait_) {
        contended_ = unit;
        return Errc::retry;
    }
    return shadow;
}

Result<std::byte *> Transaction::edit(MediaBlock unit) {
    DAXPIN_TRY_ASSIGN(auto *const bytes, edit_marked(unit, [] { return true; }));
    mark(unit, all_lines);
    return bytes;
}

void Transaction::mark(MediaBlock unit, std::uint64_t lines) {
    for (auto &shadow : shadows_)
        if (shadow.unit == unit)
            shadow.lines |= lines;
}

Result<std::byte *> Transaction::edit_ordered(MediaBlock unit) {
    if (auto *bytes = find(unit))
        return bytes;
    DAXPIN_TRY(journal_.units().check_address(unit));
    auto shadow = make_shadow(unit, false);
    journal_.units().lock(unit);
    return load_locked(std::move(shadow));
}

Result<void> Transaction::lock_shared(MediaBlock unit) {
    must_wait_ = !journal_.units().try_lock_shared(unit);
    if (!must_wait_)
        return {};
    contended_ = unit;
    return Errc::retry;
}

Result<std::byte *> Transaction::create(MediaBlock unit) {
    if (find(unit) != nullptr)
        return Error{Errc::corrupt, "metadata block " + std::to_string(unit.block()) +
                                        " is in use, but free by the bitmap: run fsck.daxpinfs"};
    auto shadow = make_shadow(unit, true);
    journal_.units().lock(unit); // nothing reachable names it, so nobody holds it for long
    shadows_.push_back(std::move(shadow));
    shadows_.back().bytes->fill(std::byte{0});
    return shadows_.back().bytes->data();
}

void Transaction::discard(MediaBlock unit) {
    for (auto &shadow : shadows_)
        if (shadow.unit == unit)
            shadow.discarded = true;
}

Result<std::vector<Transaction::Range>> Transaction::differences() {
    std::vector<Range> ranges;
    for (std::size_t i = 0; i < shadows_.size(); ++i) {
        auto &shadow = shadows_[i];
        if (shadow.fresh || shadow.discarded)
            continue;
        Differences found;
        DAXPIN_TRY(journal_.units().look(shadow.unit, [&](const std::byte *media) {
            found.compare(media, shadow.bytes->data(), shadow.lines);
        }));
        shadow.differs = !found.ranges().empty();
        shadow.checksum_change = found.checksum_change();
        for (const auto &range : found.ranges())
            ranges.push_back({i, range.offset, range.length});
    }
    return ranges;
}

// What may have changed everywhere, its checksum too, is summed whole.
void Transaction::seal_differing() {
    for (auto &shadow : shadows_) {
        if (shadow.differs && shadow.lines == all_lines)
            seal_whole(*shadow.bytes);
        else if (shadow.differs)
            seal_changed(*shadow.bytes, shadow.checksum_change);
    }
}

bool Transaction::exceeds(std::uint64_t budget) {
    std::uint64_t bytes = sizeof(format::RecordHeader) + format::record_align;
    if (bytes + shadows_.size() * entry_bytes_max <= budget)
        return false; // whatever they hold
    const auto ranges = differences();
    if (!ranges)
        return false; // the same error comes from commit()
    for (const auto &range : *ranges)
        bytes += sizeof(format::RecordEntry) + padded(range.length);
    return bytes > budget;
}

std::vector<std::byte> Transaction::build_record(const std::vector<Range> &ranges) const {
    std::size_t length = sizeof(format::RecordHeader);
    for (const auto &range : ranges)
        length += sizeof(format::RecordEntry) + padded(range.length);
    length = (length + format::record_align - 1) / format::record_align * format::record_align;
    std::vector<std::byte> record(length);
    auto *at = record.data() + sizeof(format::RecordHeader);
    for (const auto &range : ranges) {
        const auto &shadow = shadows_[range.shadow];
        format::RecordEntry entry{};
        entry.block = shadow.unit.value;
        entry.offset = range.offset;
        entry.length = range.length;
        std::memcpy(at, &entry, sizeof entry);
        std::memcpy(at + sizeof entry, shadow.bytes->data() + range.offset, range.length);
        at += sizeof entry + padded(range.length);
    }
    return record;
}

Result<void> Transaction::write_fresh_units() {
    for (auto &shadow : shadows_) {
        if (!shadow.fresh || shadow.discarded)
            continue;
        seal_whole(*shadow.bytes);
        DAXPIN_TRY(
            journal_.devices().copy(shadow.unit, 0, *shadow.bytes, device::StoreKind::nontemporal));
        drain_first_ = true;
    }
    return {};
}

Result<void> Transaction::write_homes(const std::vector<Range> &ranges) {
    for (const auto &range : ranges) {
        const auto &shadow = shadows_[range.shadow];
        DAXPIN_TRY(journal_.devices().copy(
            shadow.unit, range.offset,
            std::span<const std::byte>(*shadow.bytes).subspan(range.offset, range.length),
            device::StoreKind::cached));
    }
    return {};
}

Result<void> Transaction::drain_stores() {
    if (!std::exchange(drain_first_, false))
        return {};
    auto drained = journal_.devices().drain();
    if (!drained)
        journal_.fail();
    return drained;
}

Result<Sequence> Transaction::append_and_write_home(const std::vector<Range> &ranges) {
    auto record = build_record(ranges);
    DAXPIN_TRY(journal_.reserve(record.size()));
    Reserved reserved(journal_, record.size());
    DAXPIN_TRY(drain_stores());
    DAXPIN_TRY_ASSIGN(auto *const unfinished,
                      reserved.append(record, static_cast<std::uint32_t>(ranges.size())));
    // From here on nothing may fail but the device itself.
    if (auto written = write_homes(ranges); !written) {
        journal_.fail();
        return std::move(written).error();
    }
    for (const auto &shadow : shadows_)
        journal_.units().set_verified(shadow.unit, !shadow.discarded);
    const Sequence sequence = unfinished->sequence;
    Journal::home_written(*unfinished);
    return sequence;
}

Result<Sequence> Transaction::commit() {
    if (journal_.failed())
        return Errc::io;
    DAXPIN_TRY(write_fresh_units());
    DAXPIN_TRY_ASSIGN(const auto ranges, differences());
    if (!ranges.empty()) {
        seal_differing();
        auto sequence = append_and_write_home(ranges);
        abort();
        return sequence;
    }
    // Nothing of ours changed; data stored in place must still be durable.
    DAXPIN_TRY(drain_stores());
    abort();
    return journal_.head();
}

void Transaction::release_units() {
    for (auto shadow = shadows_.rbegin(); shadow != shadows_.rend(); ++shadow)
        journal_.units().unlock(shadow->unit);
    shadows_.clear();
}

void Transaction::abort() {
    // What went to blocks that stay free must not reach media at some later time, when they may
    // be somebody else's. A failure has failed the journal.
    static_cast<void>(drain_stores());
    release_units();
    turn_.reset();
}

void Transaction::await_retry() {
    abort();
    if (!std::exchange(must_wait_, false))
        return;
    journal_.units().wait_until_free(contended_);
    turn_.emplace(journal_.retry_mutex());
}

} // namespace daxpin::journal
