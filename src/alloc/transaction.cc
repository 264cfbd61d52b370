// SPDX-License-Identifier: BSD-3-Clause
#include "alloc/transaction.h"

#include "alloc/allocator_state.h"
#include "base/assert.h"
#include "base/bits.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace daxpin::alloc {

namespace {

using format::BitmapHeader;
using format::blocks_per_group;

// Before something is taken that must not be lost again.
void make_room(std::vector<MediaRun> &runs) {
    if (runs.size() == runs.capacity())
        runs.reserve(2 * runs.size() + 8);
}

} // namespace

Transaction::Transaction(Allocator &allocator, Purpose purpose, Reservation *reservation)
    : allocator_(allocator), units_(allocator.journal()), purpose_(purpose),
      reservation_(reservation) {}

Transaction::~Transaction() {
    abort();
}

std::uint64_t Transaction::allowance(std::uint64_t free, std::uint64_t reserved,
                                     std::uint64_t reserve) const {
    if (purpose_ == Purpose::release)
        reserve = 0;
    else if (purpose_ == Purpose::rearrange)
        reserve /= 2;
    const auto kept = reserved + reserve;
    return free > kept ? free - kept : 0;
}

// Nothing to be had now; worth another try if freed blocks are on their way back.
Errc Transaction::out_of_space(const Pool &pool, std::uint64_t returned) {
    starved_ = pool.waiting != 0;
    returned_seen_ = returned;
    return starved_ ? Errc::retry : Errc::no_space;
}

Result<MediaBlock> Transaction::allocate_unit() {
    auto &state = *allocator_.state_;
    make_room(allocated_);
    MutexLock lock(state.mutex);
    state.reap();
    state.withdraw_bad();
    const Pool pool = state.metadata_pool;
    if (allowance(pool.free, pool.reserved, pool.reserve) == 0)
        return out_of_space(pool, state.returned);
    DAXPIN_TRY_ASSIGN(const auto run, state.take_unit());
    if (run.count.value == 0)
        return out_of_space(pool, state.returned);
    promise(state.metadata_pool, run);
    return run.start;
}

std::uint64_t Transaction::data_allowance(const Pool &pool) const {
    const auto own = reservation_ != nullptr ? reservation_->data_blocks_ : 0;
    return allowance(pool.free, pool.reserved - own, pool.reserve);
}

// REQUIRES: make_room(allocated_).
void Transaction::promise(Pool &pool, MediaRun run) {
    allocated_.push_back(run);
    pool.clear -= run.count.value;
}

// What is promised is set aside no longer, or it would count twice.
void Transaction::draw(Pool &pool, BlockCount count) {
    if (reservation_ == nullptr)
        return;
    const auto drawn = std::min(count.value, reservation_->data_blocks_);
    reservation_->data_blocks_ -= drawn;
    pool.reserved -= drawn;
    drawn_ += drawn;
}

Result<MediaRun> Transaction::allocate_zeroed(const DataRequest &request) {
    auto &state = *allocator_.state_;
    make_room(allocated_);
    MutexLock lock(state.mutex);
    state.withdraw_bad();
    const MediaRun found = state.find_zeroed(request, data_allowance(*state.data_pool));
    if (found.count.value == 0)
        return found;
    DAXPIN_TRY_ASSIGN(const auto run,
                      state.take(found.start.device(), found.start.block(), found.count.value));
    promise(*state.data_pool, run);
    draw(*state.data_pool, run.count);
    return run;
}

Result<MediaRun> Transaction::allocate_data(const DataRequest &request) {
    DAXPIN_ASSERT(request.count.value > 0);
    auto &state = *allocator_.state_;
    make_room(allocated_);
    MutexLock lock(state.mutex);
    state.reap();
    state.withdraw_bad();
    Pool &pool = *state.data_pool;
    const auto limit = data_allowance(pool);
    if (limit == 0)
        return out_of_space(pool, state.returned);
    DAXPIN_TRY_ASSIGN(const auto run, state.take_data(request, limit));
    if (run.count.value == 0)
        return out_of_space(pool, state.returned);
    promise(pool, run);
    draw(pool, run.count);
    return run;
}

Result<void> Transaction::load_groups(MediaRun run) {
    auto &state = *allocator_.state_;
    MutexLock lock(state.mutex);
    if (run.start.device() >= state.devices.size() || run.count.value == 0 ||
        run.start.block() + run.count.value > state.devices[run.start.device()].block_count)
        return Error{Errc::corrupt, "a run to be freed lies outside its device"};
    const auto last = (run.start.block() + run.count.value - 1) / blocks_per_group;
    for (auto index = run.start.block() / blocks_per_group; index <= last; ++index)
        DAXPIN_TRY(state.group(run.start.device(), index));
    return {};
}

void Transaction::free_unit(MediaBlock unit) {
    units_.discard(unit);
    if (!allocator_.bad_blocks().is_listed(unit))
        freed_.push_back({{unit, BlockCount{1}}, true});
}

void Transaction::free_data(MediaRun run) {
    freed_.push_back({run, false});
}

bool Transaction::list_bad(MediaBlock block) {
    auto &state = *allocator_.state_;
    make_room(allocated_);
    MutexLock lock(state.mutex);
    state.reap();
    state.withdraw_bad();
    if (allocator_.bad_blocks().end_withdrawal(block)) {
        promise(*state.devices[block.device()].pool, {block, BlockCount{1}});
        return true;
    }
    listing_.push_back(block);
    return false;
}

void Transaction::unlist_bad(MediaBlock block) {
    unlisted_.push_back(block);
    freed_.push_back({{block, BlockCount{1}}, true});
}

// Under the chunk's lock nobody else changes the bits that the change is about, nor looks at what
// is listed: here a block's owner and the list agree on who keeps its bit set.
Result<void> Transaction::check_listing(const BitmapChange &change) {
    auto &bad = allocator_.bad_blocks();
    if (change.bit == Bit::stays_set) {
        auto known = bad.find(change.run.start);
        if (!known)
            return Errc::busy; // it was rewritten meanwhile
        marked_.push_back(change.run.start);
        known->listed = true;
        bad.update(*known);
        return {};
    }
    if (change.bit == Bit::set)
        return {};
    const auto is_kept = [&](const device::BadBlock &known) {
        return known.listed && std::ranges::count(unlisted_, known.block) == 0;
    };
    if (std::ranges::any_of(bad.in(change.run), is_kept))
        return Errc::retry;
    return {};
}

// What was shown as listed is, or is not.
void Transaction::settle_listing(bool committed) {
    auto &bad = allocator_.bad_blocks();
    for (const MediaBlock block : marked_)
        if (auto known = bad.find(block); known && !committed) {
            known->listed = false;
            bad.update(*known);
        }
    marked_.clear();
    listing_.clear();
    if (committed)
        for (const MediaBlock block : unlisted_)
            bad.erase(block);
    unlisted_.clear();
}

// Changes the bits [from, to) of a chunk. The first of them that was not what it has to be, if any.
std::optional<std::uint64_t> Transaction::change_bits(std::byte *bitmap, std::uint64_t from,
                                                      std::uint64_t to, Bit bit) {
    std::optional<std::uint64_t> wrong;
    for_each_word(from, to, [&](std::size_t index, std::uint64_t mask) {
        le64 stored;
        std::memcpy(&stored, bitmap + index * sizeof stored, sizeof stored);
        const std::uint64_t word = stored;
        const auto bad = (bit == Bit::set ? word : ~word) & mask;
        if (bad != 0 && !wrong)
            wrong = index * word_bits + static_cast<unsigned>(std::countr_zero(bad));
        if (bit == Bit::stays_set)
            return;
        stored = word ^ mask;
        std::memcpy(bitmap + index * sizeof stored, &stored, sizeof stored);
    });
    return wrong;
}

Result<void> Transaction::stage_chunk(std::span<const ChunkChange> changes) {
    const MediaBlock chunk = changes.front().chunk;
    const unsigned device = changes.front().device;
    const std::uint64_t first = changes.front().first;
    DAXPIN_TRY_ASSIGN(auto *bytes, units_.edit_ordered(chunk));
    BitmapHeader header;
    std::memcpy(&header, bytes, sizeof header);
    auto *bitmap = bytes + format::bitmap_header_bytes;
    std::uint32_t free_count = header.free_count;
    for (const ChunkChange &entry : changes) {
        const BitmapChange &change = entry.change;
        DAXPIN_TRY(check_listing(change));
        const auto from = std::max(change.run.start.block(), first) - first;
        const auto to =
            std::min(change.run.start.block() + change.run.count.value, first + blocks_per_group) -
            first;
        if (const auto wrong = change_bits(bitmap, from, to, change.bit)) {
            if (change.bit == Bit::stays_set)
                return Errc::busy;
            return Error{Errc::corrupt,
                         "block " + std::to_string(first + *wrong) + " of device " +
                             std::to_string(device) +
                             (change.bit == Bit::set ? " is already in use" : " is already free") +
                             ": run fsck.daxpinfs"};
        }
        if (to > from)
            units_.mark(chunk, journal::lines_of(format::bitmap_header_bytes + from / 8,
                                                 (to - 1) / 8 - from / 8 + 1));
        if (change.bit == Bit::set)
            free_count -= static_cast<std::uint32_t>(to - from);
        else if (change.bit == Bit::clear)
            free_count += static_cast<std::uint32_t>(to - from);
    }
    header.free_count = free_count;
    std::memcpy(bytes, &header, sizeof header);
    units_.mark(chunk, journal::lines_of(0, sizeof header));
    return {};
}

// A run may lie in several chunks.
std::vector<Transaction::ChunkChange> Transaction::chunk_changes() const {
    std::vector<ChunkChange> changes;
    const auto add = [&](MediaRun run, Bit bit) {
        const unsigned device = run.start.device();
        const auto last = (run.start.block() + run.count.value - 1) / blocks_per_group;
        for (auto index = run.start.block() / blocks_per_group; index <= last; ++index)
            changes.push_back({allocator_.state_->chunk_of(device, index),
                               device,
                               index * blocks_per_group,
                               {run, bit}});
    };
    for (const auto &run : allocated_)
        add(run, Bit::set);
    for (const auto &freed : freed_)
        add(freed.run, Bit::clear);
    for (const MediaBlock block : listing_)
        add({block, BlockCount{1}}, Bit::stays_set);
    return changes;
}

Result<void> Transaction::stage_bitmaps() {
    for (const auto &freed : freed_)
        DAXPIN_TRY(load_groups(freed.run));
    for (const MediaBlock block : listing_)
        DAXPIN_TRY(load_groups({block, BlockCount{1}}));
    auto changes = chunk_changes();
    if (changes.size() > 1) // by address: the lock order
        std::ranges::stable_sort(changes, {}, &ChunkChange::chunk);
    for (auto rest = std::span<const ChunkChange>(changes); !rest.empty();) {
        const auto next = std::ranges::find_if(
            rest, [&](const ChunkChange &change) { return change.chunk != rest.front().chunk; });
        const auto count = static_cast<std::size_t>(next - rest.begin());
        DAXPIN_TRY(stage_chunk(rest.first(count)));
        rest = rest.subspan(count);
    }
    return {};
}

// The record is durable: promises have become bits, freed runs wait for their reuse. Nothing may
// fail here, so `freed` has an entry for each of freed_.
void Transaction::settle(journal::Sequence sequence, std::list<Waiting> freed) noexcept {
    allocated_.clear();
    drawn_ = 0;
    if (freed_.empty() && listing_.empty())
        return;
    auto &state = *allocator_.state_;
    MutexLock lock(state.mutex);
    settle_listing(true); // before what left the list can be handed out
    const auto ticket = state.grace.ticket();
    for (const auto &one : freed_) {
        auto &pool = *state.devices[one.run.start.device()].pool;
        pool.clear += one.run.count.value;
        pool.waiting += one.run.count.value;
        const auto entry = freed.begin();
        *entry = {one.run, one.metadata ? sequence + 1 : 0, ticket};
        auto &queue = one.metadata ? state.waiting_metadata : state.waiting_data;
        queue.splice(queue.end(), freed, entry);
    }
    freed_.clear();
}

Result<void> Transaction::commit() {
    DAXPIN_TRY(stage_bitmaps());
    std::list<Waiting> freed(freed_.size());
    known_leaves_.clear(); // their locks go
    DAXPIN_TRY_ASSIGN(const auto sequence, units_.commit());
    settle(sequence, std::move(freed));
    return {};
}

void Transaction::abort() {
    settle_listing(false); // while the chunks are still locked
    known_leaves_.clear();
    units_.abort();
    if (allocated_.empty() && freed_.empty())
        return;
    auto &state = *allocator_.state_;
    MutexLock lock(state.mutex);
    const auto returned = state.returned;
    // After a failed journal the blocks' fate is unknown: they stay out of use.
    if (!allocator_.journal().failed())
        for (const auto &run : allocated_) {
            state.devices[run.start.device()].pool->clear += run.count.value;
            state.give_back(run);
        }
    if (reservation_ != nullptr) {
        reservation_->data_blocks_ += drawn_;
        state.data_pool->reserved += drawn_;
        drawn_ = 0;
    }
    returned_seen_ += state.returned - returned; // its own blocks are no help to it
    allocated_.clear();
    freed_.clear();
}

Result<void> Transaction::restart() {
    abort();
    if (std::exchange(starved_, false))
        DAXPIN_TRY(allocator_.reclaim(returned_seen_));
    units_.await_retry();
    return {};
}

} // namespace daxpin::alloc
