// SPDX-License-Identifier: BSD-3-Clause
#include "volume/quarantine.h"

#include "volume/engine.h"

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
    unproven_ = unproven_ || before.has_value();
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

void Freeing::restart() {
    kept_.clear();
    unproven_ = false;
}

void Freeing::committed() {
    if (unproven_) // not before: a proof that comes first does not see what was not committed
        engine_.quarantine.note_unproven();
    try {
        for (const auto &[run, range] : kept_)
            for (const std::uint32_t uid : inode_->leases.keep(run, range))
                engine_.lease_accounts.charge(uid, run.count.value);
    } catch (const std::bad_alloc &) {
        engine_.quarantine.note_unproven(); // the end of these leases will tell nobody
    }
    restart();
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

Result<bool> Quarantine::locked_step() {
    DAXPIN_TRY_ASSIGN(const auto change, engine_.begin_change());
    if (sweep_again_.exchange(false))
        sweep_from_ = MediaBlock{};
    if (sweep_from_)
        DAXPIN_TRY(sweep());
    DAXPIN_TRY_ASSIGN(const bool more, return_some());
    return more || sweep_from_.has_value();
}

Result<bool> Quarantine::step() {
    const MutexLock lock(step_mutex_);
    try {
        return locked_step();
    } catch (const std::bad_alloc &) {
        note_unproven(); // what was taken off the queue waits for the next proof
        return Errc::out_of_memory;
    }
}

void Quarantine::return_given_up() {
    {
        const MutexLock lock(returns_mutex_);
        if (returns_.empty())
            return;
    }
    const auto returned = step();
    if (!returned && returned.code() != Errc::out_of_memory) // that a lease ends cannot fail
        engine_.note_failure(returned.error());
}

// ---- for people --------------------------------------------------------------------------------

namespace {

// Calls visit(entry) for the whole quarantine.
template <typename Visit>
Result<void> for_each_entry(const immutable::QuarantineTable &table, Visit visit) {
    constexpr std::size_t batch = 256;
    for (MediaBlock from{};;) {
        DAXPIN_TRY_ASSIGN(const auto entries, table.list(from, batch));
        for (const Quarantined &entry : entries)
            visit(entry);
        if (entries.size() < batch)
            return {};
        from = entries.back().run.start + BlockCount{1};
    }
}

} // namespace

Result<QuarantinePage> Quarantine::show(MediaBlock from, std::size_t limit) {
    DAXPIN_TRY_ASSIGN(const auto entries, engine_.quarantine_table->list(from, limit));
    std::map<std::pair<InodeNumber, std::uint64_t>, QuarantineInfo> files;
    for (const Quarantined &entry : entries) {
        auto &info = files[{entry.inode, entry.generation}];
        info.inode = entry.inode;
        info.generation = entry.generation;
        info.bytes += entry.run.count.bytes();
        bool kept = false;
        if (engine_.cache->in_use(entry.inode))
            if (const auto inode = engine_.get(entry.inode)) {
                const SharedLock lock((*inode)->mutex);
                kept = (*inode)->leases.keeps(entry.run.start);
            }
        info.lost = info.lost || !kept;
    }
    QuarantinePage page;
    for (const auto &[key, info] : files)
        page.files.push_back(info);
    if (entries.size() == limit)
        page.next = entries.back().run.start + BlockCount{1};
    return page;
}

Result<void> Quarantine::forget_leases(InodeNumber number) {
    if (number.value == format::root_inode) {
        prove_absence({});
        return {};
    }
    DAXPIN_TRY_ASSIGN(const InodeRef inode, engine_.get_regular(number));
    // Nothing that is listed returns meanwhile, and comes again as another entry.
    const MutexLock step(step_mutex_);
    DAXPIN_TRY_ASSIGN(const auto change, engine_.begin_change());
    std::uint64_t generation = 0;
    {
        const ExclusiveLock lock(inode->mutex);
        if (!inode->leases.empty())
            return Errc::busy;
        generation = inode->attributes.generation;
        note_leased_here(number); // what it frees from now on is nobody's
    }
    std::vector<MediaRun> runs;
    DAXPIN_TRY(for_each_entry(*engine_.quarantine_table, [&](const Quarantined &entry) {
        if (entry.inode == number && entry.generation == generation)
            runs.push_back(entry.run);
    }));
    // Somebody may have taken a lease since, and what was freed under it was listed, too.
    const SharedLock lock(inode->mutex);
    std::erase_if(runs, [&](const MediaRun &run) { return inode->leases.keeps(run.start); });
    queue_returns(runs);
    return {};
}

Result<void> Volume::forget_leases(InodeNumber inode) {
    return engine_->quarantine.forget_leases(inode);
}

Result<QuarantinePage> Volume::quarantine(MediaBlock from, std::size_t limit) {
    return engine_->quarantine.show(from, limit);
}

} // namespace daxpin::volume
