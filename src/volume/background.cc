// SPDX-License-Identifier: BSD-3-Clause
//
// Unfinished work: truncations and removals (removals.h) go on in steps of bounded size, also those
// that an earlier mount left behind.
#include "volume/engine.h"

#include <algorithm>

namespace daxpin::volume {

namespace {

// An erased item may shift the slots of its leaf: so many bytes of record at most, on average.
constexpr std::uint64_t record_bytes_per_item = 1024;
constexpr std::size_t items_max = 1024;

std::uint64_t record_budget(const journal::Journal &journal) {
    return journal.geometry().record_bytes_max() / 2;
}

} // namespace

StepLimit Engine::step_limit() const {
    const std::uint64_t budget = record_budget(*journal);
    const std::uint64_t items = budget / record_bytes_per_item;
    // Half of the budget for bits of the bitmaps, eight blocks a byte.
    return {std::clamp<std::size_t>(items, 2, items_max), budget / 2 * 8};
}

bool Engine::is_full(Transaction &tx) const {
    return tx.units().exceeds(record_budget(*journal));
}

void Engine::post_work() {
    work_posted_.fetch_add(1);
}

Result<bool> Engine::truncation_step(InodeNumber number) {
    DAXPIN_TRY_ASSIGN(const auto change, begin_change());
    const auto inode = get(number);
    if (!inode && inode.code() == Errc::stale)
        return false;
    if (!inode)
        return inode.error();
    const ExclusiveLock lock((*inode)->mutex);
    DAXPIN_TRY_ASSIGN(const auto work, unfinished->find(nullptr, number));
    if (!work || work->kind != format::UnfinishedKind::truncate)
        return false; // finished or replaced since it was listed
    DAXPIN_TRY_ASSIGN(const bool more, truncate_step(**inode, *work));
    return more;
}

Result<bool> Engine::background_step() {
    if (is_read_only())
        return false;
    if (journal->wants_checkpoint())
        DAXPIN_TRY(journal->checkpoint());
    removals.reap_all();
    std::optional<InodeNumber> shrunk;
    auto more = posted_step(shrunk);
    if (shrunk)
        tell_attributes_changed(*shrunk); // fewer blocks than were shown when it was truncated
    return more;
}

Result<bool> Engine::posted_step(std::optional<InodeNumber> &shrunk) {
    const MutexLock lock(background_mutex_);
    DAXPIN_TRY_ASSIGN(const bool listed, bad_blocks.step());
    DAXPIN_TRY_ASSIGN(const bool returned, quarantine.step());
    if (listed || returned)
        return true;
    if (background_cursor_ == InodeNumber{}) {
        // A pass over the table begins only if something was posted since the last one began.
        const std::uint64_t posted = work_posted_.load();
        if (work_seen_ == posted)
            return false;
        work_seen_ = posted;
    }
    DAXPIN_TRY_ASSIGN(const auto next, unfinished->list(background_cursor_, 1));
    if (next.empty()) {
        background_cursor_ = {};
        return work_seen_ != work_posted_.load();
    }
    const inode::Unfinished &work = next.front();
    // Moved on before the step: damage in one place does not keep the rest from being done.
    background_cursor_ = {work.inode.value + 1};
    bool more = false;
    if (work.kind == format::UnfinishedKind::truncate) {
        DAXPIN_TRY_ASSIGN(more, truncation_step(work.inode));
        if (!more)
            shrunk = work.inode;
    } else {
        DAXPIN_TRY_ASSIGN(more, removals.go_on(work.inode));
    }
    if (more)
        background_cursor_ = work.inode;
    return true;
}

// The guard keeps a remount to read-only waiting for one piece at most.
Result<bool> Engine::prezero_step() {
    if (!changes_.is_idle())
        return true;
    const auto change = begin_change();
    return change ? allocator->prezero_step() : false;
}

} // namespace daxpin::volume
