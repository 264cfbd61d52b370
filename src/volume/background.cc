// SPDX-License-Identifier: BSD-3-Clause
//
// Unfinished work: files without a name are freed, truncations finished, in steps of bounded
// size. Small files go in one transaction, at once; of large ones the rest is left to
// background_step(), as is everything that an earlier mount left behind.
#include "volume/quarantine.h"

#include <algorithm>
#include <new>

namespace daxpin::volume {

namespace {

// An erased item may shift the slots of its leaf: so many bytes of record at most, on average.
constexpr std::uint64_t record_bytes_per_item = 1024;
constexpr std::size_t items_max = 1024;
constexpr unsigned xattrs_per_step = 2; // of up to 17 blocks each

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

void Engine::post_work() {
    work_posted_.fetch_add(1);
}

// One removal at a time works on an inode: reap() and background_step() may meet.
class Engine::Claim {
  public:
    Claim(Engine &engine, InodeNumber number) : engine_(engine), number_(number) {
        const MutexLock lock(engine_.claims_mutex_);
        owned_ = engine_.claims_.insert(number).second;
    }
    ~Claim() {
        if (!owned_)
            return;
        const MutexLock lock(engine_.claims_mutex_);
        engine_.claims_.erase(number_);
    }
    Claim(const Claim &) = delete;
    Claim &operator=(const Claim &) = delete;
    bool owned() const { return owned_; }

  private:
    Engine &engine_;
    InodeNumber number_;
    bool owned_;
};

// Takes a part of the orphan away in `tx`. True if something is left of it.
Result<bool> Engine::remove_part(Transaction &tx, Attributes orphan) {
    bool more = false;
    if (orphan.is_regular()) {
        Freeing freeing(*this);
        DAXPIN_TRY_ASSIGN(more, free_blocks_step(tx, orphan, FileBlock{0}, step_limit(), freeing));
    }
    const auto full = [&] { return more || tx.units().exceeds(record_budget(*journal)); };
    auto set = xattrs(orphan.number);
    for (bool left = true; left && !full();) {
        DAXPIN_TRY_ASSIGN(left, set.remove_some(tx, xattrs_per_step));
        if (!left)
            return remove_inode(tx, orphan);
    }
    DAXPIN_TRY(table->store(tx, orphan));
    return true;
}

// The last part: what has no blocks of its own but a symbolic link's target.
Result<bool> Engine::remove_inode(Transaction &tx, const Attributes &orphan) {
    if (orphan.is_symlink()) {
        const auto key = btree::Key::of(orphan.number, format::ItemType::symlink);
        btree::Item item;
        DAXPIN_TRY_ASSIGN(const bool found, tree->find(&tx, key, item));
        if (!found)
            return Errc::corrupt;
        DAXPIN_TRY(inode::free_blob(tx, item.value()));
        DAXPIN_TRY(tree->erase(tx, key));
    }
    DAXPIN_TRY(table->erase(tx, orphan.number));
    DAXPIN_TRY(unfinished->erase(tx, orphan.number));
    return false;
}

Result<Engine::Step> Engine::removal_step(InodeNumber number) {
    DAXPIN_TRY_ASSIGN(const auto change, begin_change());
    const Claim claim(*this, number);
    if (!claim.owned() || cache->in_use(number))
        return Step::skipped; // whoever has it sees to it
    return transact(
        [&](Transaction &tx) -> Result<Step> {
            const auto orphan = table->load_to_change(tx, number);
            if (!orphan && orphan.code() == Errc::stale)
                return Step::skipped; // was never committed, or is gone already
            DAXPIN_TRY(orphan);
            if (orphan->link_count != 0)
                return Error{Errc::corrupt, "an inode that is to be removed has names"};
            DAXPIN_TRY_ASSIGN(const bool more, remove_part(tx, *orphan));
            return more ? Step::more : Step::done;
        },
        alloc::Purpose::release);
}

Result<Engine::Step> Engine::truncation_step(InodeNumber number) {
    DAXPIN_TRY_ASSIGN(const auto change, begin_change());
    const auto inode = get(number);
    if (!inode && inode.code() == Errc::stale)
        return Step::skipped;
    if (!inode)
        return inode.error();
    const ExclusiveLock lock((*inode)->mutex);
    DAXPIN_TRY_ASSIGN(const auto work, unfinished->find(nullptr, number));
    if (!work || work->kind != format::UnfinishedKind::truncate)
        return Step::skipped; // finished or replaced since it was listed
    DAXPIN_TRY_ASSIGN(const bool more, truncate_step(**inode, *work));
    return more ? Step::more : Step::done;
}

void Engine::reap() {
    for (auto orphan = cache->take_orphans(); orphan; orphan = std::move(orphan->next_orphan)) {
        try {
            const auto step = removal_step(orphan->number);
            if (!step || *step == Step::more)
                post_work();
        } catch (const std::bad_alloc &) {
            post_work(); // whatever made it an orphan is done and has not failed
        }
    }
}

Result<bool> Engine::background_step() {
    if (is_read_only())
        return false;
    if (journal->wants_checkpoint())
        DAXPIN_TRY(journal->checkpoint());
    const MutexLock lock(background_mutex_);
    DAXPIN_TRY_ASSIGN(const bool listed, bad_blocks_step());
    DAXPIN_TRY_ASSIGN(const bool returned, quarantine_step());
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
    DAXPIN_TRY_ASSIGN(const Step step, work.kind == format::UnfinishedKind::remove
                                           ? removal_step(work.inode)
                                           : truncation_step(work.inode));
    if (step == Step::more)
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
