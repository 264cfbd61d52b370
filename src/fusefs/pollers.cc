// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/pollers.h"

#include <vector>

namespace daxpin::fusefs {

void Pollers::add(InodeNumber inode, volume::Handle file, fuse_pollhandle *handle) {
    PollHandle owned(handle);
    const MutexLock lock(mutex_);
    waiting_[{inode.value, file}].swap(owned);
}

// Without the lock: the kernel is spoken to.
void Pollers::wake(InodeNumber inode) {
    std::vector<PollHandle> woken;
    {
        const MutexLock lock(mutex_);
        const auto begin = waiting_.lower_bound({inode.value, 0});
        const auto end = waiting_.lower_bound({inode.value + 1, 0});
        for (auto at = begin; at != end; ++at)
            woken.push_back(std::move(at->second));
        waiting_.erase(begin, end);
    }
    for (const PollHandle &handle : woken)
        fuse_lowlevel_notify_poll(handle.get()); // fails if nobody waits any more
}

void Pollers::drop(InodeNumber inode, volume::Handle file) {
    PollHandle dropped;
    const MutexLock lock(mutex_);
    const auto found = waiting_.find({inode.value, file});
    if (found == waiting_.end())
        return;
    dropped = std::move(found->second);
    waiting_.erase(found);
}

} // namespace daxpin::fusefs
