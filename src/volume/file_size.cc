// SPDX-License-Identifier: BSD-3-Clause
//
// Changing the size of a file, freeing blocks in steps, unfinished truncations.
#include "volume/file_data.h"

#include <algorithm>

namespace daxpin::volume {
namespace {

// Growing exposes what lies between the old end and the new one: it must be zeros.
Result<void> grow(Engine &engine, CachedInode &inode, Attributes changed, std::uint64_t new_size) {
    DAXPIN_TRY(finish_truncate(engine, inode));
    // The step before may have freed blocks; the caller's copy does not know.
    changed.block_count = inode.attributes.block_count;
    DAXPIN_TRY(zero_written(engine, inode, inode.attributes.size, new_size));
    changed.size = new_size;
    return commit_attributes(engine, inode, changed);
}

// Where an unfinished truncate has to begin if one more from `from` on is to come.
Result<FileBlock> join_unfinished(Engine &engine, CachedInode &inode, FileBlock from) {
    if (!inode.truncating)
        return from;
    DAXPIN_TRY_ASSIGN(const auto work, engine.unfinished->find(nullptr, inode.number));
    if (work && work->kind == format::UnfinishedKind::truncate)
        return std::min(from, work->from);
    // In a file without a name everything beyond the end is to be freed anyway, and the end only
    // moves down here.
    inode.truncating = work.has_value();
    return from;
}

// A file without a name has its one entry for its removal. What a crash leaves of a truncation
// goes with it then; until then the inode's flag says that blocks are left beyond the end.
bool has_entry_of_its_own(const Attributes &attributes) {
    return attributes.link_count > 0;
}

} // namespace

Result<bool> Engine::free_blocks_step(Transaction &tx, Attributes &attributes, FileBlock from,
                                      StepLimit &limit, Freeing &freeing) {
    auto map = extents(attributes.number);
    while (limit.items > 0 && limit.blocks > 0) {
        DAXPIN_TRY_ASSIGN(const auto extent, map.at_or_after(&tx, from));
        if (!extent)
            return false;
        DAXPIN_TRY_ASSIGN(const auto removed, map.remove(tx, std::max(extent->first, from),
                                                         {limit.blocks}, limit.items));
        // A damaged tree may find an item from one side and not from the other.
        if (removed.extents.empty())
            return Errc::corrupt;
        for (const Extent &gone : removed.extents) {
            limit.blocks -= gone.count.value;
            DAXPIN_TRY(freeing.free(tx, attributes, gone));
        }
        limit.items -= std::min(limit.items, removed.extents.size());
    }
    DAXPIN_TRY_ASSIGN(const auto left, map.at_or_after(&tx, from));
    return left.has_value();
}

Result<bool> Engine::truncate_step(CachedInode &inode, const inode::Unfinished &work) {
    bool more = false;
    Freeing freeing(*this, &inode);
    DAXPIN_TRY_ASSIGN(const auto changed,
                      transact(
                          [&](Transaction &tx) -> Result<Attributes> {
                              freeing.restart();
                              Attributes attributes = inode.attributes;
                              StepLimit limit = step_limit();
                              DAXPIN_TRY_ASSIGN(more, free_blocks_step(tx, attributes, work.from,
                                                                       limit, freeing));
                              DAXPIN_TRY(table->store(tx, attributes));
                              if (!more && has_entry_of_its_own(attributes))
                                  DAXPIN_TRY(unfinished->erase(tx, inode.number));
                              return attributes;
                          },
                          alloc::Purpose::release));
    freeing.committed();
    inode.attributes = changed;
    inode.truncating = more;
    return more;
}

namespace {

Result<void> shrink(Engine &engine, CachedInode &inode, Attributes changed,
                    std::uint64_t new_size) {
    const FileBlock end = immutable::end_of(new_size, owned_unit(engine, inode));
    DAXPIN_TRY_ASSIGN(const FileBlock from, join_unfinished(engine, inode, end));
    changed.size = new_size;
    bool more = false;
    Freeing freeing(engine, &inode);
    DAXPIN_TRY_ASSIGN(const auto stored,
                      engine.transact(
                          [&](Transaction &tx) -> Result<Attributes> {
                              freeing.restart();
                              Attributes attributes = changed;
                              StepLimit limit = engine.step_limit();
                              DAXPIN_TRY_ASSIGN(more, engine.free_blocks_step(tx, attributes, from,
                                                                              limit, freeing));
                              const inode::Unfinished work{inode.number, attributes.generation,
                                                           format::UnfinishedKind::truncate, from};
                              DAXPIN_TRY(engine.table->store(tx, attributes));
                              const bool entry = has_entry_of_its_own(attributes);
                              if (more && entry)
                                  DAXPIN_TRY(engine.unfinished->put(tx, work));
                              else if (inode.truncating && entry)
                                  DAXPIN_TRY(engine.unfinished->erase(tx, inode.number));
                              return attributes;
                          },
                          alloc::Purpose::release));
    freeing.committed();
    inode.attributes = stored;
    inode.truncating = more;
    if (inode.leases.overlaps({from, {~std::uint64_t{0} - from.value}}))
        inode.leases.map_changed();
    if (more)
        engine.post_work();
    return {};
}

} // namespace

Result<void> Engine::change_size(CachedInode &inode, Attributes changed, std::uint64_t new_size,
                                 Handle handle) {
    DAXPIN_TRY(check_writer(inode, handle));
    DAXPIN_TRY_ASSIGN(const auto state, file_state(inode));
    DAXPIN_TRY_ASSIGN(const auto *ranges, pins(inode));
    DAXPIN_TRY(immutable::check_size_change(state, *ranges, inode.leases, new_size));
    if (new_size == inode.attributes.size)
        return commit_attributes(*this, inode, changed);
    if (new_size > inode.attributes.size)
        return grow(*this, inode, changed, new_size);
    return shrink(*this, inode, changed, new_size);
}

} // namespace daxpin::volume
