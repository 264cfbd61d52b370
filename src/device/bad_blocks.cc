// SPDX-License-Identifier: BSD-3-Clause
#include "device/bad_blocks.h"

#include "base/assert.h"

#include <utility>

namespace daxpin::device {

std::optional<BadBlock> BadBlocks::find(MediaBlock block) const {
    if (empty())
        return std::nullopt;
    const MutexLock lock(mutex_);
    const auto found = blocks_.find(block);
    return found == blocks_.end() ? std::nullopt : std::optional(found->second.bad);
}

bool BadBlocks::is_listed(MediaBlock block) const {
    const auto bad = find(block);
    return bad && bad->listed;
}

std::vector<BadBlock> BadBlocks::in(MediaRun run) const {
    std::vector<BadBlock> found;
    if (empty())
        return found;
    const MutexLock lock(mutex_);
    const auto end = blocks_.lower_bound(run.start + run.count);
    for (auto at = blocks_.lower_bound(run.start); at != end; ++at)
        found.push_back(at->second.bad);
    return found;
}

std::vector<BadBlock> BadBlocks::all() const {
    std::vector<BadBlock> blocks;
    if (empty())
        return blocks;
    const MutexLock lock(mutex_);
    for (const auto &[block, known] : blocks_)
        blocks.push_back(known.bad);
    return blocks;
}

bool BadBlocks::note(const BadBlock &bad, std::string text) {
    const MutexLock lock(mutex_);
    if (!blocks_.emplace(bad.block, Known{bad}).second)
        return false;
    if (!text.empty()) {
        reports_.push_back(std::move(text));
        reported_.store(true);
    }
    count_.store(blocks_.size());
    version_.fetch_add(1);
    return true;
}

void BadBlocks::update(const BadBlock &bad) {
    const MutexLock lock(mutex_);
    const auto found = blocks_.find(bad.block);
    if (found != blocks_.end())
        found->second.bad = bad;
}

std::optional<MediaBlock> BadBlocks::withdraw_first(MediaRun run) {
    if (empty())
        return std::nullopt;
    const MutexLock lock(mutex_);
    const auto found = blocks_.lower_bound(run.start);
    if (found == blocks_.end() || !(found->first < run.start + run.count))
        return std::nullopt;
    found->second.withdrawn = true;
    return found->first;
}

bool BadBlocks::end_withdrawal(MediaBlock block) {
    const MutexLock lock(mutex_);
    const auto found = blocks_.find(block);
    return found != blocks_.end() && std::exchange(found->second.withdrawn, false);
}

void BadBlocks::erase(MediaBlock block) {
    const MutexLock lock(mutex_);
    blocks_.erase(block);
    count_.store(blocks_.size());
}

void BadBlocks::erase_unless_listed(MediaBlock block) {
    const MutexLock lock(mutex_);
    const auto found = blocks_.find(block);
    if (found != blocks_.end() && !found->second.bad.listed)
        blocks_.erase(found);
    count_.store(blocks_.size());
}

void BadBlocks::report(std::string text) {
    const MutexLock lock(mutex_);
    if (!said_.insert(text).second)
        return;
    reports_.push_back(std::move(text));
    reported_.store(true);
}

std::vector<std::string> BadBlocks::take_reports() {
    const MutexLock lock(mutex_);
    reported_.store(false);
    return std::exchange(reports_, {});
}

} // namespace daxpin::device
