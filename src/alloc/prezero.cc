// SPDX-License-Identifier: BSD-3-Clause
//
// Zeroing free space ahead of need, a piece at a time, and finding what was zeroed.
//
// A piece is taken as if for a file, so nobody else gets it while it is stored to, and it counts as
// waiting, so nobody is told that there is no space because of it. Only blocks that are free come
// in question: their freeing is durable, no reader is left, and no lease covers them.
#include "alloc/allocator_state.h"

#include <algorithm>
#include <new>

namespace daxpin::alloc {

namespace {

using format::blocks_per_group;

// Shorter runs are not worth an entry in the set, unless they touch one.
constexpr std::uint64_t run_blocks_min = 64;
// Bounds what the set takes of memory: some 10 MiB.
constexpr std::size_t runs_max = 65536;
// Bounds the time that one search holds the mutex.
constexpr unsigned groups_per_search = 16;

} // namespace

Result<MediaRun> Allocator::State::take_unzeroed_from(MediaBlock from) {
    const auto &space = devices[from.device()];
    const auto index = from.block() / blocks_per_group;
    const MediaBlock first = MediaBlock::at(from.device(), index * blocks_per_group);
    zero_from = first + BlockCount{blocks_per_group};
    if (space.is_known_full(index))
        return MediaRun{};
    DAXPIN_TRY_ASSIGN(const auto *group, searched_group(from.device(), index));
    auto at = static_cast<std::uint32_t>(from.block() % blocks_per_group);
    while ((at = group->next_free(at)) < blocks_per_group) {
        const MediaBlock block = first + BlockCount{at};
        const auto free = group->free_length(at, blocks_per_group);
        const auto known = zeroed.at_or_after(block);
        if (known && known->start <= block) {
            const auto zeros = known->start.value + known->count.value - block.value;
            at += static_cast<std::uint32_t>(std::min<std::uint64_t>(free, zeros));
            continue;
        }
        const auto before = zeroed.at_or_after({block.value - 1});
        const bool touches = (before && before->start < block) ||
                             (known && known->start.value <= block.value + free);
        const auto unknown =
            known ? std::min<std::uint64_t>(free, known->start.value - block.value) : free;
        if (unknown < run_blocks_min && !touches) {
            at += static_cast<std::uint32_t>(unknown);
            continue;
        }
        // Up to the end of its unit, so that aligned requests find whole ones early.
        const auto count = std::min<std::uint64_t>(unknown, unit_blocks - at % unit_blocks);
        zero_from = block + BlockCount{count};
        return take(block.device(), block.block(), count);
    }
    return MediaRun{};
}

Result<Allocator::State::Unzeroed> Allocator::State::take_unzeroed() {
    if (zeroed.run_count() >= runs_max)
        return Unzeroed{};
    if (zero_from == MediaBlock{}) {
        if (zero_seen == returned)
            return Unzeroed{};
        zero_seen = returned;
    }
    for (unsigned looked = 0; looked < groups_per_search; ++looked) {
        const unsigned device = zero_from.device();
        if (device == devices.size()) {
            zero_from = {};
            return Unzeroed{{}, zero_seen != returned};
        }
        if (!devices[device].holds_data || zero_from.block() >= devices[device].block_count) {
            zero_from = MediaBlock::at(device + 1, 0);
            continue;
        }
        DAXPIN_TRY_ASSIGN(const auto run, take_unzeroed_from(zero_from));
        if (run.count.value != 0)
            return Unzeroed{run, true};
    }
    return Unzeroed{{}, true};
}

// Where the goal is, if that is zero, so that a file stays in one piece. Else large requests go
// where there is most, and small ones where they break up least.
MediaRun Allocator::State::find_zeroed(const DataRequest &request, std::uint64_t limit) const {
    const auto align = std::max<std::uint64_t>(request.align_bytes / block_size, 1);
    const auto wanted = std::min(round_up(request.count.value, align), limit / align * align);
    if (wanted == 0 || zeroed.empty())
        return {};
    const auto part_from = [&](const MediaRun &known, std::uint64_t start) {
        const auto end = known.start.value + known.count.value;
        const auto length = start < end ? std::min(wanted, (end - start) / align * align) : 0;
        return MediaRun{MediaBlock{start}, BlockCount{length}};
    };
    const auto near = zeroed.at_or_after(request.goal);
    if (near && near->start <= request.goal && request.goal.block() % align == 0) {
        const MediaRun run = part_from(*near, request.goal.value);
        if (run.count.value != 0)
            return run;
    }
    const bool large = wanted >= unit_blocks;
    const auto boundary = large ? std::max<std::uint64_t>(align, unit_blocks) : align;
    const auto known = large ? zeroed.longest(BlockCount{boundary})
                             : zeroed.shortest(BlockCount{wanted + align - 1});
    if (!known)
        return {};
    const MediaRun run = part_from(*known, round_up(known->start.value, boundary));
    return large && run.count.value < unit_blocks ? MediaRun{} : run;
}

// Durable when it returns. What was stored is drained also if not all could be: a later owner's
// stores must not meet it.
Result<void> Allocator::store_zeros(MediaRun run) {
    auto &devices = state_->journal.devices();
    Result<void> stored = Errc::out_of_memory;
    Result<void> drained;
    try {
        stored = devices.set(run.start, 0, std::byte{0}, run.count.bytes(),
                             device::StoreKind::nontemporal);
        drained = devices.drain();
    } catch (const std::bad_alloc &) {
        return Errc::out_of_memory;
    }
    if (!drained) {
        state_->journal.fail();
        return drained;
    }
    return stored;
}

Result<bool> Allocator::prezero_step() {
    auto &state = *state_;
    auto &bad = bad_blocks();
    if (state.journal.failed())
        return false;
    State::Unzeroed next;
    {
        const MutexLock lock(state.mutex);
        state.reap();
        state.withdraw_bad();
        DAXPIN_TRY_ASSIGN(next, state.take_unzeroed());
        if (next.run.count.value == 0)
            return next.more;
        state.devices[next.run.start.device()].pool->waiting += next.run.count.value;
        ++state.zeroing;
    }
    const auto bad_known = bad.version();
    const auto stored = store_zeros(next.run);
    const MutexLock lock(state.mutex);
    --state.zeroing;
    state.zeroing_ended.notify_all();
    state.devices[next.run.start.device()].pool->waiting -= next.run.count.value;
    state.give_back(next.run);
    if (!stored && (state.journal.failed() || bad.version() == bad_known))
        return stored.error();
    // A block that turned out bad was kept back; one that does so later leaves the set then.
    if (stored && (bad.empty() || bad.in(next.run).empty()))
        state.zeroed.add(next.run);
    return true;
}

BlockCount Allocator::prezeroed() const {
    const MutexLock lock(state_->mutex);
    return state_->zeroed.blocks();
}

} // namespace daxpin::alloc
