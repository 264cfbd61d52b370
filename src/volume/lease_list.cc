// SPDX-License-Identifier: BSD-3-Clause
//
// Who leases what, and what is in quarantine for it; asking leases back; and a word that blocks
// are no longer needed.
#include "volume/impl.h"

#include <algorithm>

namespace daxpin::volume {

using immutable::Quarantined;

void Engine::note_leases(const CachedInode &inode) {
    const MutexLock lock(leased_mutex_);
    if (inode.leases.empty())
        leased_now_.erase(inode.number);
    else
        leased_now_.insert(inode.number);
}

std::optional<InodeNumber> Engine::next_leased(InodeNumber from) {
    const MutexLock lock(leased_mutex_);
    const auto next = leased_now_.lower_bound(from);
    return next == leased_now_.end() ? std::nullopt : std::optional{*next};
}

std::vector<LeaseInfo> Engine::show_leases(InodeNumber from, immutable::LeaseId from_id,
                                           std::size_t limit) {
    std::vector<LeaseInfo> page;
    for (auto number = next_leased(from); number && page.size() < limit;
         number = next_leased({number->value + 1})) {
        const auto inode = get(*number);
        if (!inode)
            continue; // gone since
        const SharedLock lock((*inode)->mutex);
        const auto &all = (*inode)->leases.all();
        auto lease =
            std::ranges::lower_bound(all, *number == from ? from_id : 0, {}, &immutable::Lease::id);
        for (; lease != all.end() && page.size() < limit; ++lease)
            page.push_back({*number, *lease});
    }
    return page;
}

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

Result<void> Volume::ask_leases_back(const Caller &caller, InodeNumber number) {
    Engine &engine = *impl_;
    DAXPIN_TRY_ASSIGN(const InodeRef inode, engine.get_regular(number));
    const ExclusiveLock lock(inode->mutex);
    if (!caller.may_act_for(inode->attributes.uid))
        return Errc::not_permitted;
    constexpr std::uint64_t second_ns = 1'000'000'000;
    const std::uint64_t patience_ns = engine.options.lease_break_s * second_ns;
    inode->leases.ask_back(engine.env.since_boot_ns() + static_cast<std::int64_t>(patience_ns));
    return {};
}

bool Volume::asked_back(InodeNumber number) {
    const auto inode = impl_->get(number);
    if (!inode)
        return false;
    const SharedLock lock((*inode)->mutex);
    return (*inode)->leases.asked_back();
}

Result<void> Volume::forget_leases(InodeNumber inode) {
    return impl_->quarantine.forget_leases(inode);
}
std::vector<LeaseInfo> Volume::leases(InodeNumber from, immutable::LeaseId from_id,
                                      std::size_t limit) {
    return impl_->show_leases(from, from_id, limit);
}
Result<QuarantinePage> Volume::quarantine(MediaBlock from, std::size_t limit) {
    return impl_->quarantine.show(from, limit);
}

} // namespace daxpin::volume
