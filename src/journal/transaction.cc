// SPDX-License-Identifier: BSD-3-Clause
#include "journal/transaction.h"

#include "base/assert.h"
#include "base/checksum.h"

#include <algorithm>
#include <array>
#include <bit>

namespace daxpin::journal {

namespace {

constexpr std::size_t checksum_bytes = sizeof(le32);
constexpr std::size_t word = 8;
constexpr std::size_t line_bytes = checksum_line_bytes;
constexpr std::size_t piece_bytes = 256;
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

bool are_same_lines(const std::byte *one, const std::byte *other, std::uint64_t lines) {
    for (; lines != 0; lines &= lines - 1) {
        const auto at = static_cast<std::size_t>(std::countr_zero(lines)) * line_bytes;
        if (!is_same_line(one + at, other + at))
            return false;
    }
    return true;
}

// Where most is the same: memcmp() is fast there.
std::uint64_t lines_of_differing_pieces(const std::byte *one, const std::byte *other) {
    std::uint64_t lines = 0;
    for (std::size_t piece = 0; piece < block_size; piece += piece_bytes)
        if (std::memcmp(one + piece, other + piece, piece_bytes) != 0)
            lines |= lines_of(piece, piece_bytes);
    return lines;
}

// Where a unit's bytes differ, and by what its checksum.
class Differences {
  public:
    using Part = device::Device::Part;

    // Looks at `lines`. Of the bytes on the medium: in place, under the conditions of
    // Units::look().
    void compare(const std::byte *was, const std::byte *is, std::uint64_t lines) noexcept {
        DAXPIN_ASSERT(!slow_checks || are_same_lines(was, is, ~lines));
        differ_ = std::memcmp(was, is, word) != 0;
        for (auto left = lines == all_lines ? lines_of_differing_pieces(was, is) : lines; left != 0;
             left &= left - 1)
            compare_line(was, is, static_cast<std::size_t>(std::countr_zero(left)));
        close_part();
        if (lines != all_lines)
            checksum_change_ = crc32c_change(was, is, lines_);
    }

    // Whole words, near ones merged. The first part holds the checksum, which is still the one
    // that was loaded, but will change if anything does.
    std::span<const Part> parts() const { return {parts_.data(), differ_ ? count_ : 0}; }
    std::uint32_t checksum_change() const { return checksum_change_; }

  private:
    void compare_line(const std::byte *was, const std::byte *is, std::size_t line) noexcept {
        const std::size_t begin = line * line_bytes;
        if (is_same_line(was + begin, is + begin))
            return;
        lines_ |= std::uint64_t{1} << line;
        for (std::size_t at = begin; at < begin + line_bytes; at += word)
            if (at > 0 && std::memcmp(was + at, is + at, word) != 0)
                add_word(at);
    }
    void add_word(std::size_t at) noexcept {
        differ_ = true;
        if (at - end_ > merge_gap) {
            close_part();
            start_ = at;
        }
        end_ = at + word;
    }
    void close_part() noexcept {
        parts_[count_++] = {static_cast<std::uint16_t>(start_),
                            static_cast<std::uint16_t>(end_ - start_)};
    }

    // A part is a word at least, and more than merge_gap from the next one.
    static constexpr std::size_t count_max = block_size / (2 * word + merge_gap) + 1;
    std::array<Part, count_max> parts_;
    std::size_t count_ = 0;
    std::size_t start_ = 0;
    std::size_t end_ = word;
    bool differ_ = false;
    std::uint64_t lines_ = 0;
    std::uint32_t checksum_change_ = 0;
};

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
    return {.unit = unit, .bytes = make_unit_buffer(), .fresh = fresh};
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

Result<std::vector<Transaction::Part>> Transaction::differences() {
    std::vector<Part> parts;
    for (auto &shadow : shadows_) {
        shadow.first_part = parts.size();
        shadow.part_count = 0;
        if (shadow.fresh || shadow.discarded)
            continue;
        Differences found;
        DAXPIN_TRY(journal_.units().look(shadow.unit, [&](const std::byte *media) {
            found.compare(media, shadow.bytes->data(), shadow.lines);
        }));
        shadow.checksum_change = found.checksum_change();
        shadow.part_count = found.parts().size();
        parts.insert(parts.end(), found.parts().begin(), found.parts().end());
    }
    return parts;
}

// What may have changed everywhere, its checksum too, is summed whole.
void Transaction::seal_differing() {
    for (auto &shadow : shadows_) {
        if (shadow.differs() && shadow.lines == all_lines)
            seal_whole(*shadow.bytes);
        else if (shadow.differs())
            seal_changed(*shadow.bytes, shadow.checksum_change);
    }
}

bool Transaction::exceeds(std::uint64_t budget) {
    std::uint64_t bytes = sizeof(format::RecordHeader) + format::record_align;
    if (bytes + shadows_.size() * entry_bytes_max <= budget)
        return false; // whatever they hold
    const auto parts = differences();
    if (!parts)
        return false; // the same error comes from commit()
    for (const Part &part : *parts)
        bytes += sizeof(format::RecordEntry) + padded(part.length);
    return bytes > budget;
}

std::vector<std::byte> Transaction::build_record(std::span<const Part> parts) const {
    std::size_t length = sizeof(format::RecordHeader);
    for (const Part &part : parts)
        length += sizeof(format::RecordEntry) + padded(part.length);
    length = (length + format::record_align - 1) / format::record_align * format::record_align;
    std::vector<std::byte> record(length);
    auto *at = record.data() + sizeof(format::RecordHeader);
    for (const auto &shadow : shadows_)
        for (const Part &part : shadow.of(parts)) {
            format::RecordEntry entry{};
            entry.block = shadow.unit.value;
            entry.offset = part.offset;
            entry.length = part.length;
            std::memcpy(at, &entry, sizeof entry);
            std::memcpy(at + sizeof entry, shadow.bytes->data() + part.offset, part.length);
            at += sizeof entry + padded(part.length);
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

Result<void> Transaction::write_homes(std::span<const Part> parts) {
    for (const auto &shadow : shadows_)
        if (shadow.differs())
            DAXPIN_TRY(journal_.devices().patch(shadow.unit, *shadow.bytes, shadow.of(parts)));
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

Result<Sequence> Transaction::append_and_write_home(std::span<const Part> parts) {
    auto record = build_record(parts);
    DAXPIN_TRY(journal_.reserve(record.size()));
    Reserved reserved(journal_, record.size());
    DAXPIN_TRY(drain_stores());
    DAXPIN_TRY_ASSIGN(auto *const unfinished,
                      reserved.append(record, static_cast<std::uint32_t>(parts.size())));
    // From here on nothing may fail but the device itself.
    if (auto written = write_homes(parts); !written) {
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
    DAXPIN_TRY_ASSIGN(const auto parts, differences());
    if (!parts.empty()) {
        seal_differing();
        auto sequence = append_and_write_home(parts);
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
