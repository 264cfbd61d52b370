// SPDX-License-Identifier: BSD-3-Clause
//
// Where a new run comes from. Small requests fill holes in partly used mapping units, so that
// whole units stay for files that will be mapped; large and aligned ones take whole units. So does
// a file that grows and whose next block is somebody else's, in another group if that can be: two
// that grow at a time would take each other's next block again and again, and wait for each other's
// bitmap chunk.
#include "alloc/allocator_state.h"
#include "base/assert.h"

#include <algorithm>

namespace daxpin::alloc {

using format::blocks_per_group;

// Who meets a damaged chunk tells it, once: from then on it counts as full.
Result<Group *> Allocator::State::searched_group(unsigned device, std::size_t index) {
    auto found = group(device, index);
    if (found || found.code() != Errc::corrupt)
        return found;
    auto &space = devices[device];
    auto &clear = space.clear_counts[index];
    space.unseen_groups -= clear >= unit_blocks ? 1 : 0;
    space.pool->clear -= clear;
    space.pool->free -= clear;
    clear = 0;
    return found;
}

Result<std::uint64_t> Allocator::State::free_length(unsigned device, std::uint64_t start,
                                                    std::uint64_t limit) {
    const auto end = std::min(start + limit, devices[device].block_count);
    auto at = start;
    while (at < end) {
        const auto index = at / blocks_per_group;
        const auto within = static_cast<std::uint32_t>(at % blocks_per_group);
        const auto wanted = static_cast<std::uint32_t>(
            std::min<std::uint64_t>(end - at, blocks_per_group - within));
        if (devices[device].is_known_full(index))
            break;
        DAXPIN_TRY_ASSIGN(const auto *group, searched_group(device, index));
        const auto found = group->free_length(within, wanted);
        at += found;
        if (found < wanted)
            break;
    }
    return at > start ? at - start : 0;
}

Result<MediaRun> Allocator::State::take(unsigned device, std::uint64_t start, std::uint64_t count) {
    auto &space = devices[device];
    const MediaRun run{MediaBlock::at(device, start), BlockCount{count}};
    zeroed.remove(run); // first, for it may lack memory
    for (auto at = start; at < start + count;) {
        const auto within = static_cast<std::uint32_t>(at % blocks_per_group);
        const auto part = static_cast<std::uint32_t>(
            std::min<std::uint64_t>(start + count - at, blocks_per_group - within));
        DAXPIN_TRY_ASSIGN(auto *group, this->group(device, at / blocks_per_group));
        space.free_units -= group->free_units();
        group->take({within, part});
        space.free_units += group->free_units();
        at += part;
    }
    space.pool->free -= count;
    return run;
}

Result<MediaRun> Allocator::State::take_whole(unsigned device, std::uint64_t start,
                                              std::uint64_t align, std::uint64_t wanted) {
    DAXPIN_TRY_ASSIGN(const auto length, free_length(device, start, wanted));
    return length < align ? Result<MediaRun>(MediaRun{})
                          : take(device, start, length / align * align);
}

Result<MediaRun> Allocator::State::take_near(MediaBlock goal, std::uint64_t align,
                                             std::uint64_t wanted) {
    if (goal.value == 0 || goal.device() >= devices.size() || !devices[goal.device()].holds_data ||
        goal.block() >= devices[goal.device()].block_count || goal.block() % align != 0)
        return MediaRun{};
    return take_whole(goal.device(), goal.block(), align, wanted);
}

// Goes through the groups, from the one at the cursor round.
#define DAXPIN_FOR_GROUPS(space, index, cursor)                                                    \
    for (std::size_t step_ = 0, index = (cursor); step_ < (space).groups.size();                   \
         ++step_, index = (index + 1) % (space).groups.size())

Result<MediaRun> Allocator::State::take_filling(unsigned device, std::uint64_t wanted) {
    auto &space = devices[device];
    DAXPIN_FOR_GROUPS(space, index, space.hole_cursor) {
        // Without a look at its bits: one that is full, or free as a whole.
        if (!space.groups[index] && space.clear_counts[index] % blocks_per_group == 0)
            continue;
        DAXPIN_TRY_ASSIGN(auto *group, searched_group(device, index));
        if (group->free_count() == 0)
            continue;
        const auto hole = group->find_hole(
            static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted, unit_blocks)));
        if (!hole)
            continue;
        space.hole_cursor = index;
        return take(device, index * blocks_per_group + hole->start, hole->count);
    }
    return MediaRun{};
}

std::optional<std::uint32_t> Allocator::State::find_free_unit(const Group &group, MediaBlock first,
                                                              bool spare_zeroed) const {
    auto start = group.find_free_unit();
    while (spare_zeroed && start) {
        const auto known = zeroed.at_or_after(first + BlockCount{*start});
        if (!known || known->start >= first + BlockCount{*start + unit_blocks})
            break;
        start = group.find_free_unit(*start + unit_blocks);
    }
    return start;
}

Result<MediaRun> Allocator::State::take_unit_of(unsigned device, std::size_t index,
                                                std::uint64_t wanted, bool spare_zeroed) {
    const auto &space = devices[device];
    if (!space.groups[index] && space.clear_counts[index] < unit_blocks)
        return MediaRun{};
    DAXPIN_TRY_ASSIGN(const auto *group, searched_group(device, index));
    if (group->free_units() == 0)
        return MediaRun{};
    const auto first = index * blocks_per_group;
    const auto start = find_free_unit(*group, MediaBlock::at(device, first), spare_zeroed);
    if (!start)
        return MediaRun{};
    const auto limit =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted, blocks_per_group));
    return take(device, first + *start, group->free_length(*start, limit));
}

Result<MediaRun> Allocator::State::take_from_free_unit(unsigned device, std::uint64_t wanted) {
    auto &space = devices[device];
    if (space.has_no_free_unit())
        return MediaRun{};
    for (const bool spare_zeroed : {true, false}) {
        if (spare_zeroed &&
            (zeroed.empty() || space.pool->free < zeroed.blocks().value + unit_blocks))
            continue;
        DAXPIN_FOR_GROUPS(space, index, space.unit_cursor) {
            DAXPIN_TRY_ASSIGN(const auto run, take_unit_of(device, index, wanted, spare_zeroed));
            if (run.count.value == 0)
                continue;
            space.unit_cursor = index;
            return run;
        }
    }
    return MediaRun{};
}

#undef DAXPIN_FOR_GROUPS

// Whether an aligned run may begin in the group, by its counts alone.
bool Allocator::State::may_hold(const DeviceSpace &space, std::size_t index, std::uint64_t align) {
    if (!space.groups[index])
        return !space.is_known_full(index);
    const Group &group = *space.groups[index];
    return align >= unit_blocks ? group.free_units() != 0 : group.free_count() >= align;
}

Result<MediaRun> Allocator::State::take_aligned(unsigned device, std::uint64_t align,
                                                std::uint64_t wanted) {
    auto &space = devices[device];
    if (align >= unit_blocks && space.has_no_free_unit())
        return MediaRun{};
    const auto first = round_up(space.unit_cursor * blocks_per_group, align);
    for (const auto &[from, to] : {std::pair{first, space.block_count}, {std::uint64_t{0}, first}})
        for (auto start = from; start + align <= std::min(to, space.block_count);) {
            const auto index = start / blocks_per_group;
            if (!may_hold(space, index, align)) {
                start = round_up((index + 1) * blocks_per_group, align);
                continue;
            }
            DAXPIN_TRY_ASSIGN(const auto run, take_whole(device, start, align, wanted));
            if (run.count.value != 0) {
                space.unit_cursor = index;
                return run;
            }
            start += align;
        }
    return MediaRun{};
}

Result<MediaRun> Allocator::State::take_small(unsigned device, std::uint64_t wanted) {
    DAXPIN_TRY_ASSIGN(const auto run, take_filling(device, wanted));
    return run.count.value != 0 ? Result<MediaRun>(run) : take_from_free_unit(device, wanted);
}

Result<MediaRun> Allocator::State::take_long(unsigned device, std::uint64_t wanted) {
    DAXPIN_TRY_ASSIGN(const auto run, take_from_free_unit(device, wanted));
    return run.count.value != 0 ? Result<MediaRun>(run) : take_filling(device, wanted);
}

Result<MediaRun> Allocator::State::take_apart(unsigned device, std::uint64_t wanted,
                                              MediaBlock goal) {
    if (goal.device() == device) {
        const auto own = (goal.block() - 1) / blocks_per_group; // the file's last block
        DAXPIN_TRY_ASSIGN(const auto run,
                          take_unit_of(device, (own + 1) % devices[device].groups.size(), wanted,
                                       !zeroed.empty()));
        if (run.count.value != 0)
            return run;
    }
    return take_long(device, wanted);
}

Result<MediaRun> Allocator::State::take_data(const DataRequest &request, std::uint64_t limit) {
    const auto align = std::max<std::uint64_t>(request.align_bytes / block_size, 1);
    const auto wanted = std::min(round_up(request.count.value, align), limit) / align * align;
    if (wanted == 0)
        return MediaRun{};
    DAXPIN_TRY_ASSIGN(auto run, take_near(request.goal, align, wanted));
    const bool is_crowded = request.grows && request.goal.value != 0;
    // The device of the goal first, so that a file stays on one.
    const auto preferred = request.goal.device() < devices.size() ? request.goal.device() : 0U;
    for (std::size_t i = 0; run.count.value == 0 && i < devices.size(); ++i) {
        const auto device = static_cast<unsigned>((preferred + i) % devices.size());
        if (!devices[device].holds_data || devices[device].groups.empty())
            continue;
        DAXPIN_TRY_ASSIGN(run, align > 1               ? take_aligned(device, align, wanted)
                               : is_crowded            ? take_apart(device, wanted, request.goal)
                               : wanted >= unit_blocks ? take_long(device, wanted)
                                                       : take_small(device, wanted));
    }
    return run;
}

Result<MediaRun> Allocator::State::take_unit() {
    return take_small(0, 1);
}

} // namespace daxpin::alloc
