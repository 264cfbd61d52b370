// SPDX-License-Identifier: BSD-3-Clause
//
// LEASE and RELEASE: who may map which blocks, in memory; and the durable mark that an inode's
// blocks may still be mapped in this boot.
#include "volume/lease_end.h"
#include "volume/pin_prepare.h"
#include "volume/privileges.h"
#include "volume/quarantine.h"

namespace daxpin::volume {
namespace {

// What a write through the mapping would have done, before it is done or after.
Result<void> stamp(Engine &engine, CachedInode &inode, Attributes changed) {
    DAXPIN_TRY(drop_capabilities(engine, inode));
    engine.touch(changed, touch_mtime | touch_ctime);
    drop_set_id(changed, {.gid = changed.gid}, changed.gid); // as one of the group would
    DAXPIN_TRY(engine.transact([&](Transaction &tx) { return engine.table->store(tx, changed); }));
    inode.attributes = changed;
    return {};
}

// At the end of a write lease. A file without a name is on its way out and needs no times.
void stamp_at_end(Engine &engine, CachedInode &inode) {
    const auto change = engine.begin_change();
    if (change && inode.attributes.link_count > 0)
        static_cast<void>(stamp(engine, inode, inode.attributes).has_value());
}

// Marks the inode as leased in this boot, once.
Result<void> mark_and_stamp(Engine &engine, CachedInode &inode, bool write) {
    Attributes changed = inode.attributes;
    const bool fresh_mark = changed.lease_boot != engine.boot_id;
    changed.lease_boot = engine.boot_id;
    if (write)
        DAXPIN_TRY(stamp(engine, inode, changed));
    else if (fresh_mark)
        DAXPIN_TRY(commit_attributes(engine, inode, changed));
    if (fresh_mark)
        engine.note_leased_here(inode.number);
    return {};
}

struct LeaseRequest {
    immutable::ByteRange range;
    bool write;
    bool prepare;
    Handle handle;
};

Result<std::optional<BlockRange>> check_lease(Engine &engine, const Caller &caller,
                                              CachedInode &inode, const LeaseRequest &request) {
    if (request.handle == 0)
        return Errc::bad_handle;
    DAXPIN_TRY_ASSIGN(const auto state, engine.file_state(inode));
    DAXPIN_TRY_ASSIGN(const auto asker, pin_caller(engine, caller, inode, request.handle));
    DAXPIN_TRY_ASSIGN(const auto range,
                      immutable::check_lease_request(state, asker, request.range, request.write,
                                                     request.prepare));
    DAXPIN_TRY(engine.lease_accounts.check(caller.uid));
    return std::optional{range};
}

// REQUIRES: inode locked exclusively.
Result<const immutable::Lease *> grant(Engine &engine, const Caller &caller, CachedInode &inode,
                                       BlockRange blocks, const LeaseRequest &request) {
    DAXPIN_TRY(engine.lease_accounts.open(caller.uid));
    if (auto marked = mark_and_stamp(engine, inode, request.write); !marked) {
        engine.lease_accounts.close(caller.uid);
        return std::move(marked).error();
    }
    const auto &lease = inode.leases.grant(request.handle, blocks, request.write,
                                           {caller.uid, caller.pid, engine.env.now_ns()});
    engine.note_leases(inode);
    return &lease;
}

} // namespace

bool end_leases(Engine &engine, CachedInode &inode, Handle handle) {
    if (inode.leases.holds_write(handle))
        stamp_at_end(engine, inode);
    for (const auto &lease : inode.leases.all())
        if (lease.handle == handle)
            engine.lease_accounts.close(lease.holder.uid);
    if (!inode.leases.release_all(handle))
        return false;
    give_up_kept(engine, inode);
    allow_caching(inode);
    return true;
}

void allow_caching(CachedInode &inode) {
    if (inode.leases.empty() && inode.pins && inode.pins->empty())
        inode.drop_cache = true;
}

Result<Volume::LeaseReply> Volume::lease(const Caller &caller, InodeNumber number,
                                         immutable::ByteRange range, bool write, bool prepare,
                                         Handle handle) {
    Engine &engine = *impl_;
    if (!engine.options.dax)
        return Errc::unsupported;
    DAXPIN_TRY_ASSIGN(const auto change, engine.begin_change());
    DAXPIN_TRY_ASSIGN(const InodeRef inode, engine.get(number));
    const LeaseRequest request{range, write, prepare, handle};
    LeaseReply reply{};
    const Freeze how{mapping_align(engine, 0), prepare,
                     [&] { return check_lease(engine, caller, *inode, request); },
                     [&](BlockRange blocks) -> Result<void> {
                         DAXPIN_TRY_ASSIGN(const auto *lease,
                                           grant(engine, caller, *inode, blocks, request));
                         reply = {lease->id, inode->leases.generation()};
                         return {};
                     }};
    DAXPIN_TRY(freeze(engine, *inode, how));
    engine.tell_data_changed(number);
    return reply;
}

Result<void> Volume::release_lease(InodeNumber number, Handle handle, immutable::LeaseId id) {
    Engine &engine = *impl_;
    DAXPIN_TRY_ASSIGN(const InodeRef inode, engine.get(number));
    {
        const ExclusiveLock lock(inode->mutex);
        const auto *lease = inode->leases.find(handle, id);
        if (lease == nullptr)
            return Errc::invalid;
        if (lease->write)
            stamp_at_end(engine, *inode);
        engine.lease_accounts.close(lease->holder.uid);
        inode->leases.release(handle, id);
        give_up_kept(engine, *inode);
        allow_caching(*inode);
    }
    engine.return_quarantine();
    engine.tell_data_changed(number);
    return {};
}

Result<bool> Volume::is_write_lease(InodeNumber number, Handle handle, immutable::LeaseId id) {
    DAXPIN_TRY_ASSIGN(const InodeRef inode, impl_->get(number));
    const SharedLock lock(inode->mutex);
    const auto *lease = inode->leases.find(handle, id);
    if (lease == nullptr)
        return Errc::invalid;
    return lease->write;
}

} // namespace daxpin::volume
