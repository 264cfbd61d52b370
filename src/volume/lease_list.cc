// SPDX-License-Identifier: BSD-3-Clause
//
// Who leases what, and asking leases back.
#include "volume/engine.h"

#include <algorithm>

namespace daxpin::volume {

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

Result<void> Volume::ask_leases_back(const Caller &caller, InodeNumber number) {
    Engine &engine = *engine_;
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
    const auto inode = engine_->get(number);
    if (!inode)
        return false;
    const SharedLock lock((*inode)->mutex);
    return (*inode)->leases.asked_back();
}

std::vector<LeaseInfo> Volume::leases(InodeNumber from, immutable::LeaseId from_id,
                                      std::size_t limit) {
    return engine_->show_leases(from, from_id, limit);
}
} // namespace daxpin::volume
