// SPDX-License-Identifier: BSD-3-Clause
//
// Unfinished work: files without a name are freed, truncations finished, in steps of bounded
// size. Small files go some at a time in one transaction, soon; of large ones the rest is left to
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

// One removal at a time works on an inode: reap_all() and background_step() may meet.
class Engine::Claims {
  public:
    explicit Claims(Engine &engine) : engine_(engine) {}
    // Takes those of `numbers` that are nobody else's; if memory runs out, what is taken goes.
    Claims(Engine &engine, std::span<const InodeNumber> numbers) : Claims(engine) {
        owned_.reserve(numbers.size());
        const MutexLock lock(engine_.claims_mutex_);
        for (const InodeNumber number : numbers)
            if (engine_.claims_.insert(number).second)
                owned_.push_back(number);
    }
    ~Claims() {
        const MutexLock lock(engine_.claims_mutex_);
        for (const InodeNumber number : owned_)
            engine_.claims_.erase(number);
    }
    Claims(const Claims &) = delete;
    Claims &operator=(const Claims &) = delete;
    bool own(InodeNumber number) const { return std::ranges::find(owned_, number) != owned_.end(); }

  private:
    Engine &engine_;
    std::vector<InodeNumber> owned_;
};

bool Engine::is_full(Transaction &tx) const {
    return tx.units().exceeds(record_budget(*journal));
}

// Takes a part of the orphan away in `tx`. True if something is left of it.
Result<bool> Engine::remove_part(Transaction &tx, Attributes orphan, StepLimit &limit) {
    bool more = false;
    if (orphan.is_regular()) {
        Freeing freeing(*this);
        DAXPIN_TRY_ASSIGN(more, free_blocks_step(tx, orphan, FileBlock{0}, limit, freeing));
    }
    auto set = xattrs(orphan.number);
    for (bool left = true; left && !more && !is_full(tx);) {
        DAXPIN_TRY_ASSIGN(left, set.remove_some(tx, xattrs_per_step));
        if (!left) {
            DAXPIN_TRY(remove_inode(tx, orphan));
            return false;
        }
    }
    DAXPIN_TRY(table->store(tx, orphan));
    return true;
}

// The last part: what has no blocks of its own but a symbolic link's target.
Result<void> Engine::remove_inode(Transaction &tx, const Attributes &orphan) {
    if (orphan.is_symlink()) {
        const auto key = btree::Key::of(orphan.number, format::ItemType::symlink);
        btree::Item item;
        DAXPIN_TRY_ASSIGN(const bool found, tree->find(&tx, key, item));
        if (!found)
            return Errc::corrupt;
        DAXPIN_TRY(inode::free_blob(tx, item.value()));
        DAXPIN_TRY(tree->erase(tx, key));
    }
    return table->erase(tx, orphan.number);
}

// Takes inodes away in `tx`, in order, as many and as much as goes in.
Result<Engine::Removal> Engine::remove_some(Transaction &tx, std::span<const InodeNumber> numbers,
                                            const Claims &claims,
                                            std::vector<InodeNumber> &removed) {
    StepLimit limit = step_limit();
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const InodeNumber number = numbers[i];
        if (!claims.own(number) || cache->in_use(number))
            continue; // whoever has it sees to it
        if (limit.items == 0 || limit.blocks == 0 || is_full(tx))
            return Removal{i, false};
        const auto orphan = table->load_to_change(tx, number);
        if (!orphan && orphan.code() == Errc::stale)
            continue; // was never committed, or is gone already
        DAXPIN_TRY(orphan);
        if (orphan->link_count != 0)
            return Error{Errc::corrupt, "an inode that is to be removed has names"};
        DAXPIN_TRY_ASSIGN(const bool more, remove_part(tx, *orphan, limit));
        if (more)
            return Removal{i, true};
        removed.push_back(number);
    }
    return Removal{numbers.size(), false};
}

Result<Engine::Removal> Engine::removal_step(std::span<const InodeNumber> numbers) {
    DAXPIN_TRY_ASSIGN(const auto change, begin_change());
    const Claims claims(*this, numbers);
    std::vector<InodeNumber> removed;
    DAXPIN_TRY_ASSIGN(Removal removal,
                      transact(
                          [&](Transaction &tx) -> Result<Removal> {
                              removed.clear();
                              DAXPIN_TRY_ASSIGN(const Removal done,
                                                remove_some(tx, numbers, claims, removed));
                              // Behind all inodes, as AttributeEdits::store() does.
                              for (const InodeNumber number : removed)
                                  DAXPIN_TRY(unfinished->erase(tx, number));
                              return done;
                          },
                          alloc::Purpose::release));
    removal.any = removal.begun || !removed.empty();
    if (removal.begun)
        removals_left_.store(true);
    forget_leased_here(removed);
    return removal;
}

// Not what other threads remove just now, nor what somebody has open.
bool Engine::remove_left() {
    if (!removals_left_.exchange(false))
        return false;
    for (InodeNumber from{};;) {
        const auto listed = unfinished->list(from, items_max);
        if (!listed || listed->empty())
            return false;
        for (const inode::Unfinished &work : *listed) {
            from = {work.inode.value + 1};
            if (work.kind != format::UnfinishedKind::remove || cache->in_use(work.inode))
                continue;
            const auto removal = removal_step({&work.inode, 1});
            if (!removal || !removal->any)
                continue;
            removals_left_.store(true);
            return true;
        }
    }
}

// Of those of which a transaction takes no more than a part the rest is posted.
Result<void> Engine::remove_all(std::span<const InodeNumber> numbers) {
    while (!numbers.empty()) {
        DAXPIN_TRY_ASSIGN(const Removal step, removal_step(numbers));
        numbers = numbers.subspan(step.done);
        if (step.begun) {
            post_work();
            numbers = numbers.subspan(1);
        }
    }
    return {};
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

void Engine::reap() {
    if (cache->orphans_due())
        reap_all();
}

bool Engine::reap_all() {
    auto orphan = cache->take_orphans();
    if (!orphan)
        return false;
    // Whatever made them orphans is done and has not failed: what fails here is posted.
    try {
        std::vector<InodeNumber> numbers;
        for (; orphan; orphan = std::move(orphan->next_orphan))
            numbers.push_back(orphan->number);
        std::ranges::sort(numbers); // those of a leaf together
        if (!remove_all(numbers))
            post_work();
    } catch (const std::bad_alloc &) {
        post_work();
    }
    return true;
}

Result<bool> Engine::background_step() {
    if (is_read_only())
        return false;
    if (journal->wants_checkpoint())
        DAXPIN_TRY(journal->checkpoint());
    reap_all();
    std::optional<InodeNumber> shrunk;
    auto more = posted_step(shrunk);
    if (shrunk)
        tell_attributes_changed(*shrunk); // fewer blocks than were shown when it was truncated
    return more;
}

Result<bool> Engine::posted_step(std::optional<InodeNumber> &shrunk) {
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
    bool more = false;
    if (work.kind == format::UnfinishedKind::truncate) {
        DAXPIN_TRY_ASSIGN(more, truncation_step(work.inode));
        if (!more)
            shrunk = work.inode;
    } else {
        DAXPIN_TRY_ASSIGN(const Removal removal, removal_step({&work.inode, 1}));
        more = removal.begun;
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
