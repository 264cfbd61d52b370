// SPDX-License-Identifier: BSD-3-Clause
#include "volume/bad_blocks.h"

#include "device/lost_pages.h"
#include "volume/file_data.h"

#include <algorithm>
#include <unordered_map>

namespace daxpin::volume {
namespace {

constexpr std::array<std::byte, block_size> zeros{};

// The bytes of a file's block as a write of [offset, end) leaves it.
std::array<std::byte, block_size> block_content(std::uint64_t block, std::uint64_t offset,
                                                std::uint64_t end,
                                                std::span<const std::byte> data) {
    auto content = zeros;
    const std::uint64_t from = std::max(block, offset);
    const std::uint64_t to = std::min(block + block_size, end);
    if (!data.empty() && from < to)
        std::ranges::copy(data.subspan(from - offset, to - from), content.begin() + (from - block));
    return content;
}

std::string bad_text(const Engine &engine, MediaBlock block) {
    return engine.devices.at(block.device()).info().path + ": the block at byte " +
           std::to_string(block.block() * block_size) +
           " is bad: see daxpin info --bad; rewriting all of it repairs it";
}

} // namespace

std::uint64_t BadBlockList::version() const {
    return engine_.devices.bad_blocks().version();
}

bool BadBlockList::is_worth_another_try(std::uint64_t known) const {
    return version() != known && !engine_.is_read_only();
}

Result<void> BadBlockList::check(const Extent &extent, std::uint64_t offset,
                                 std::uint64_t length) const {
    const auto &bad = engine_.devices.bad_blocks();
    if (bad.empty() || length == 0) [[likely]]
        return {};
    const FileBlock first = block_at(offset);
    const FileBlock end = immutable::end_of(offset + length);
    const auto found = bad.in({extent.start + (first - extent.first), end - first});
    if (!found.empty())
        return Error{Errc::io, bad_text(engine_, found.front().block)};
    return {};
}

Result<void> BadBlockList::rewrite(const CachedInode &inode, const Extent &extent,
                                   std::uint64_t offset, std::uint64_t end,
                                   std::span<const std::byte> data) {
    auto &bad = engine_.devices.bad_blocks();
    if (bad.empty()) [[likely]]
        return {};
    const std::uint64_t file_end = std::max(end, inode.attributes.size);
    for (const auto &found : bad.in({extent.start, extent.count})) {
        const MediaBlock block = found.block;
        const std::uint64_t at =
            (extent.first + BlockCount{block.value - extent.start.value}).bytes();
        const bool covered = offset <= at && end > at && end >= std::min(at + block_size, file_end);
        if (!covered && !extent.unwritten)
            continue;
        const MutexLock lock(mutex_);
        const auto known = bad.find(block);
        if (!known)
            continue;
        // While it is rewritten the medium may answer with anything: a crash must find it listed.
        if (!known->listed) {
            DAXPIN_TRY_ASSIGN(const bool listed, enter(*known));
            if (!listed)
                continue;
        }
        if (!engine_.devices.rewrite(block, block_content(at, offset, end, data)))
            continue;
        DAXPIN_TRY(engine_.transact(
            [&](Transaction &tx) { return engine_.bad_block_table->erase(tx, block); },
            alloc::Purpose::release));
        bad.erase(block);
    }
    return {};
}

Result<void> BadBlockList::rewrite(const CachedInode &inode, std::uint64_t offset,
                                   std::uint64_t end) {
    if (engine_.devices.bad_blocks().empty() || offset >= end) [[likely]]
        return {};
    const FileBlock first = block_at(offset);
    DAXPIN_TRY_ASSIGN(
        const auto extents,
        engine_.extents(inode.number).range(nullptr, first, immutable::end_of(end) - first));
    for (const Extent &extent : extents)
        DAXPIN_TRY(rewrite(inode, extent, offset, end, {}));
    return {};
}

Result<bool> BadBlockList::disown(Transaction &tx, MediaBlock block) {
    auto known = engine_.devices.bad_blocks().find(block);
    if (!known || !known->listed)
        return false;
    known->unowned = true;
    engine_.devices.bad_blocks().update(*known); // for people to see; the item is what counts
    DAXPIN_TRY(engine_.bad_block_table->put(tx, *known));
    return true;
}

void BadBlockList::load() {
    auto &bad = engine_.devices.bad_blocks();
    const auto listed = engine_.bad_block_table->list();
    if (!listed)
        bad.report(engine_.devices.metadata().info().path +
                   ": the list of bad blocks cannot be read: run fsck.daxpinfs");
    const MutexLock lock(mutex_);
    for (const auto &known : listed ? *listed : std::vector<device::BadBlock>()) {
        if (!engine_.devices.contains({known.block, {1}}))
            continue; // fsck's business
        if (!bad.note(known))
            bad.update(known); // it failed again while the volume was opened
        if (known.unowned)
            reclaimable_.push_back(known.block);
    }
    for (unsigned i = 0; i < engine_.devices.count(); ++i)
        for (const auto &range : engine_.devices.at(i).known_bad())
            for (std::uint64_t at = range.offset / block_size;
                 at < round_up(range.offset + range.length, block_size) / block_size &&
                 engine_.devices.contains({MediaBlock::at(i, at), {1}});
                 ++at) {
                device::BadBlock found;
                found.block = MediaBlock::at(i, at);
                found.source = format::BadBlockSource::device;
                bad.note(found, engine_.devices.at(i).info().path +
                                    ": the device lists the block at byte " +
                                    std::to_string(at * block_size) + " as bad");
            }
}

void BadBlockList::note_lost_pages() {
    const std::uint64_t told = device::lost_pages_told();
    if (lost_pages_seen_.load() == told) [[likely]]
        return;
    lost_pages_seen_.store(told);
    engine_.devices.note_lost_pages();
}

Result<bool> BadBlockList::enter(device::BadBlock known) {
    known.found_ns = engine_.env.now_ns();
    const auto done = engine_.transact(
        [&](Transaction &tx) -> Result<void> {
            known.unowned = tx.list_bad(known.block);
            return engine_.bad_block_table->put(tx, known);
        },
        alloc::Purpose::rearrange);
    if (!done && done.code() == Errc::busy)
        return false;
    if (!done)
        return done.error();
    known.listed = true;
    engine_.devices.bad_blocks().update(known);
    return true;
}

// The medium gets one chance in each mount to take new data where nobody's data are.
Result<void> BadBlockList::reclaim(MediaBlock block) {
    const auto known = engine_.devices.bad_blocks().find(block);
    if (!known || !engine_.devices.rewrite(block, zeros))
        return {};
    return engine_.transact(
        [&](Transaction &tx) -> Result<void> {
            tx.unlist_bad(block);
            return engine_.bad_block_table->erase(tx, block);
        },
        alloc::Purpose::release);
}

// What fails once will fail again: it is left until another block is found.
Result<void> BadBlockList::enter_all() {
    const auto &bad = engine_.devices.bad_blocks();
    const std::uint64_t version = bad.version();
    if (version == seen_)
        return {};
    Result<void> failure;
    bool all = true;
    for (const auto &known : bad.all()) {
        if (known.listed)
            continue;
        const auto listed = enter(known);
        all = all && (!listed || *listed);
        if (!listed)
            failure = listed.error();
    }
    if (all)
        seen_ = version;
    return failure;
}

Result<bool> BadBlockList::step() {
    if (engine_.devices.bad_blocks().empty())
        return false;
    DAXPIN_TRY_ASSIGN(const auto change, engine_.begin_change());
    const MutexLock lock(mutex_);
    if (reclaimable_.empty()) {
        DAXPIN_TRY(enter_all());
        return false;
    }
    const MediaBlock block = reclaimable_.back();
    reclaimable_.pop_back();
    DAXPIN_TRY(reclaim(block));
    return true;
}

std::vector<BadBlockInfo> BadBlockList::show(bool owners) {
    std::vector<BadBlockInfo> blocks;
    std::unordered_map<std::uint64_t, std::size_t> by_address;
    const auto &bad = engine_.devices.bad_blocks();
    for (const auto &known : bad.all()) {
        by_address.emplace(known.block.value, blocks.size());
        BadBlockInfo info;
        info.device = known.block.device();
        info.device_offset = known.block.block() * block_size;
        info.found_ns = known.found_ns;
        info.source = known.source;
        info.listed = known.listed;
        info.use = known.unowned ? BadBlockUse::free : BadBlockUse::unknown;
        blocks.push_back(info);
    }
    if (!owners || blocks.empty())
        return blocks;
    const auto visit = [&](btree::Key key, std::span<const std::byte> value) {
        format::ExtentItem item;
        if (key.type() != format::ItemType::extent || value.size() != sizeof item)
            return true;
        std::memcpy(&item, value.data(), sizeof item);
        const MediaRun run{MediaBlock{item.media_block}, BlockCount{item.block_count}};
        for (const auto &known : bad.in(run)) {
            const auto found = by_address.find(known.block.value);
            if (found == by_address.end())
                continue;
            auto &info = blocks[found->second];
            info.use = BadBlockUse::file;
            info.inode = InodeNumber{key.inode};
            info.file_offset = (key.offset() + known.block.value - run.start.value) * block_size;
        }
        return true;
    };
    const auto walked =
        engine_.tree->scan(nullptr, {}, {~std::uint64_t{0}, ~std::uint64_t{0}}, visit);
    for (auto &info : blocks)
        if (walked && info.use == BadBlockUse::unknown)
            info.use = BadBlockUse::metadata;
    return blocks;
}

} // namespace daxpin::volume
