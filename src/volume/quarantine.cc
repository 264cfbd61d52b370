// SPDX-License-Identifier: BSD-3-Clause
#include "volume/quarantine.h"

#include "volume/impl.h"

#include <algorithm>
#include <new>

namespace daxpin::volume {

using extent_map::Extent;
using immutable::BlockRange;
using immutable::Quarantined;

namespace {

// Gives the run to the allocator but for listed bad blocks, which their list keeps.
Result<void> give_back(Engine &engine, Transaction &tx, MediaRun run) {
    const auto give_part = [&](MediaRun part) {
        if (part.count.value > 0)
            tx.free_data(part);
    };
    auto rest = run;
    for (const auto &bad : engine.devices.bad_blocks().in(run)) {
        DAXPIN_TRY_ASSIGN(const bool kept, engine.bad_blocks.disown(tx, bad.block));
        if (!kept)
            continue;
        const BlockCount before{bad.block.value - rest.start.value};
        give_part({rest.start, before});
        rest = {bad.block + BlockCount{1}, rest.count - before - BlockCount{1}};
    }
    give_part(rest);
    return {};
}

MediaBlock end_of(MediaRun run) {
    return run.start + run.count;
}

// The smallest run that holds both; of an empty one and another: the other.
MediaRun hull(MediaRun a, MediaRun b) {
    if (a.count.value == 0 || b.count.value == 0)
        return a.count.value == 0 ? b : a;
    const MediaBlock start = std::min(a.start, b.start);
    const MediaBlock end = std::max(end_of(a), end_of(b));
    return {start, BlockCount{end.value - start.value}};
}

MediaRun common(MediaRun a, MediaRun b) {
    const MediaBlock start = std::max(a.start, b.start);
    const MediaBlock end = std::min(end_of(a), end_of(b));
    return {start, BlockCount{start < end ? end.value - start.value : 0}};
}

} // namespace

// ---- what is mapped -----------------------------------------------------------------------------

void Quarantine::note_leased_here(InodeNumber number) {
    const MutexLock lock(mapped_mutex_);
    leased_here_.insert(number);
}

void Quarantine::forget_leased_here(std::span<const InodeNumber> removed) {
    const MutexLock lock(mapped_mutex_);
    for (const InodeNumber number : removed)
        leased_here_.erase(number);
}

std::optional<MediaRun> Quarantine::mapped_before(const Attributes &attributes,
                                                  MediaRun run) const {
    if (attributes.lease_boot != engine_.boot_id)
        return std::nullopt;
    const MutexLock lock(mapped_mutex_);
    if (leased_here_.contains(attributes.number))
        return std::nullopt;
    if (!mapped_)
        return run;
    MediaRun part{};
    for (const MediaRun &mapped : *mapped_)
        part = hull(part, common(run, mapped));
    return part.count.value == 0 ? std::nullopt : std::optional{part};
}

bool Quarantine::is_mapped(MediaRun run) const {
    const MutexLock lock(mapped_mutex_);
    return !mapped_ || std::ranges::any_of(*mapped_, [&](const MediaRun &mapped) {
        return common(run, mapped).count.value != 0;
    });
}

void Quarantine::prove_absence(std::vector<MediaRun> mapped) {
    {
        const MutexLock lock(mapped_mutex_);
        mapped_ = std::move(mapped);
    }
    awaits_proof_.store(false); // until something turns out to be kept all the same
    sweep_again_.store(true);
}

// ---- into quarantine ----------------------------------------------------------------------------

Result<void> Freeing::free(Transaction &tx, Attributes &attributes, const Extent &extent) {
    attributes.block_count -= std::min(attributes.block_count, extent.count.value);
    const MediaRun all{extent.start, extent.count};
    std::optional<BlockRange> leased;
    if (inode_ != nullptr)
        leased = inode_->leases.leased_part({extent.first, extent.count});
    // Nobody tells when a lease of an earlier daemon ends: no lease of this one may let go of it.
    const auto before = engine_.quarantine.mapped_before(attributes, all);
    if (!leased && !before)
        return give_back(engine_, tx, all);
    if (before)
        engine_.quarantine.note_unproven();
    auto mapped = before.value_or(MediaRun{});
    if (leased)
        mapped = hull(mapped, {extent.start + (leased->first - extent.first), leased->count});
    if (!before)
        kept_.emplace_back(mapped, *leased);
    const BlockCount first{mapped.start.value - all.start.value};
    const BlockCount behind = all.count - first - mapped.count;
    DAXPIN_TRY(give_back(engine_, tx, {all.start, first}));
    DAXPIN_TRY(give_back(engine_, tx, {mapped.start + mapped.count, behind}));
    return engine_.quarantine_table->add(
        tx, {mapped, engine_.boot_id, attributes.number, attributes.generation});
}

void Freeing::committed() {
    try {
        for (const auto &[run, range] : kept_)
            for (const std::uint32_t uid : inode_->leases.keep(run, range))
                engine_.lease_accounts.charge(uid, run.count.value);
    } catch (const std::bad_alloc &) {
        engine_.quarantine.note_unproven(); // the end of these leases will tell nobody
    }
    kept_.clear();
}

// ---- out of quarantine --------------------------------------------------------------------------

// What there is no memory to queue stays in quarantine: leases end all the same.
void Quarantine::give_up_kept(CachedInode &inode) {
    try {
        const auto returned = inode.leases.take_returned();
        for (const auto &[run, holders] : returned)
            for (const std::uint32_t uid : holders)
                engine_.lease_accounts.discharge(uid, run.count.value);
        std::vector<MediaRun> runs;
        for (const auto &one : returned)
            runs.push_back(one.run);
        queue_returns(runs);
    } catch (const std::bad_alloc &) {
        note_unproven();
    }
    engine_.note_leases(inode);
}

void Quarantine::queue_returns(const std::vector<MediaRun> &runs) {
    const MutexLock lock(returns_mutex_);
    for (const MediaRun &run : runs)
        returns_[run.start] = run.count;
}

std::vector<Quarantine::Return> Quarantine::take_returns() {
    const StepLimit limit = engine_.step_limit();
    std::vector<Return> batch;
    std::uint64_t blocks = 0;
    const MutexLock lock(returns_mutex_);
    batch.reserve(std::min<std::size_t>(returns_.size(), limit.items));
    while (!returns_.empty() && batch.size() < limit.items && blocks < limit.blocks) {
        const auto first = returns_.begin();
        const MediaRun run{first->first, first->second};
        returns_.erase(first);
        const BlockCount now{std::min(run.count.value, limit.blocks - blocks)};
        blocks += now.value;
        batch.push_back({run, now});
    }
    return batch;
}

// An entry may have gone or changed since its run was queued: then it is none of ours.
Result<void> Quarantine::return_run(Transaction &tx, const Return &what) {
    DAXPIN_TRY_ASSIGN(auto entry, engine_.quarantine_table->find(&tx, what.run.start));
    if (!entry || entry->run != what.run)
        return {};
    DAXPIN_TRY(engine_.quarantine_table->erase(tx, what.run.start));
    if (what.now < what.run.count) {
        entry->run = what.rest();
        DAXPIN_TRY(engine_.quarantine_table->add(tx, *entry));
    }
    return give_back(engine_, tx, {what.run.start, what.now});
}

// What fails stays in quarantine until the next proof or boot. True if there is more.
Result<bool> Quarantine::return_some() {
    const auto batch = take_returns();
    if (batch.empty())
        return false;
    const auto returned = engine_.transact(
        [&](Transaction &tx) -> Result<void> {
            for (const Return &what : batch)
                DAXPIN_TRY(return_run(tx, what));
            return {};
        },
        alloc::Purpose::release);
    if (!returned) {
        note_unproven();
        return returned.error();
    }
    if (batch.back().now < batch.back().run.count)
        queue_returns({batch.back().rest()});
    const MutexLock lock(returns_mutex_);
    return !returns_.empty();
}

// Whether nobody can map the blocks any more. Those that leases of this mount keep are returned
// when these end; an entry without is a lease's of an earlier daemon.
Result<bool> Quarantine::may_return(const Quarantined &entry) {
    if (entry.boot != engine_.boot_id)
        return true;
    if (engine_.cache->in_use(entry.inode)) {
        const auto inode = engine_.get(entry.inode);
        if (!inode && inode.code() != Errc::stale)
            return inode.error();
        if (inode) {
            const SharedLock lock((*inode)->mutex);
            if ((*inode)->leases.keeps(entry.run.start))
                return false;
            // Its holder may be about to map what it was shown.
            if (!(*inode)->leases.empty()) {
                note_unproven();
                return false;
            }
        }
    }
    if (!is_mapped(entry.run))
        return true;
    note_unproven();
    return false;
}

// Queues entries that may go; what cannot be judged waits for the next proof.
Result<void> Quarantine::sweep() {
    const std::size_t limit = engine_.step_limit().items;
    auto entries = engine_.quarantine_table->list(*sweep_from_, limit);
    if (!entries || entries->size() < limit)
        sweep_from_.reset();
    else
        sweep_from_ = entries->back().run.start + BlockCount{1};
    if (!entries) {
        note_unproven();
        return entries.error();
    }
    Result<void> judged;
    std::vector<MediaRun> returned;
    for (const Quarantined &entry : *entries) {
        const auto free = may_return(entry);
        if (free && *free)
            returned.push_back(entry.run);
        if (!free) {
            note_unproven();
            judged = free.error();
        }
    }
    queue_returns(returned);
    return judged;
}

Result<bool> Quarantine::step() {
    const MutexLock lock(step_mutex_);
    DAXPIN_TRY_ASSIGN(const auto change, engine_.begin_change());
    if (sweep_again_.exchange(false))
        sweep_from_ = MediaBlock{};
    if (sweep_from_)
        DAXPIN_TRY(sweep());
    DAXPIN_TRY_ASSIGN(const bool more, return_some());
    return more || sweep_from_.has_value();
}

void Quarantine::return_given_up() {
    {
        const MutexLock lock(returns_mutex_);
        if (returns_.empty())
            return;
    }
    try {
        const auto returned = step();
        if (!returned)
            engine_.note_failure(returned.error());
    } catch (const std::bad_alloc &) {
        note_unproven(); // a lease has ended, and that cannot fail
    }
}

} // namespace daxpin::volume
