// SPDX-License-Identifier: BSD-3-Clause
//
// LEASE and RELEASE: who may map which blocks, in memory; and the durable mark that an inode's
// blocks may still be mapped in this boot.
#include "volume/lease_end.h"
#include "volume/pin_prepare.h"
#include "volume/privileges.h"

#include <new>
#include <utility>

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
    if (fresh_mark) // before it is on media: one that nobody knows keeps the blocks till next boot
        engine.quarantine.note_leased_here(inode.number);
    if (write)
        DAXPIN_TRY(stamp(engine, inode, changed));
    else if (fresh_mark)
        DAXPIN_TRY(commit_attributes(engine, inode, changed));
    return {};
}

// Takes a step back unless all that follow it are done.
template <typename Step> class Undo {
  public:
    explicit Undo(Step step) : step_(std::move(step)) {}
    ~Undo() {
        if (!cancelled_)
            step_();
    }
    Undo(const Undo &) = delete;
    Undo &operator=(const Undo &) = delete;
    void cancel() { cancelled_ = true; }

  private:
    const Step step_;
    bool cancelled_ = false;
};

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
    Undo close([&] { engine.lease_accounts.close(caller.uid); });
    DAXPIN_TRY(mark_and_stamp(engine, inode, request.write));
    const auto &lease = inode.leases.grant(request.handle, blocks, request.write,
                                           {caller.uid, caller.pid, engine.env.now_ns()});
    Undo release([&] { inode.leases.release(request.handle, lease.id); });
    engine.note_leases(inode);
    release.cancel();
    close.cancel();
    return &lease;
}

} // namespace

bool end_leases(Engine &engine, CachedInode &inode, Handle handle) {
    try {
        if (inode.leases.holds_write(handle))
            stamp_at_end(engine, inode);
    } catch (const std::bad_alloc &) {
        // Times that cannot be stored are dropped; that a lease ends cannot fail.
    }
    for (const auto &lease : inode.leases.all())
        if (lease.handle == handle)
            engine.lease_accounts.close(lease.holder.uid);
    if (!inode.leases.release_all(handle))
        return false;
    engine.quarantine.give_up_kept(inode);
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
    Engine &engine = *engine_;
    if (!engine.options.dax)
        return Errc::unsupported;
    DAXPIN_TRY_ASSIGN(const auto change, engine.begin_change());
    DAXPIN_TRY_ASSIGN(const InodeRef inode, engine.get(number));
    const LeaseRequest request{range, write, prepare, handle};
    LeaseReply reply{};
    const Freeze how{caller, mapping_align(engine, 0), prepare,
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
    Engine &engine = *engine_;
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
        engine.quarantine.give_up_kept(*inode);
        allow_caching(*inode);
    }
    engine.quarantine.return_given_up();
    engine.tell_data_changed(number);
    return {};
}

Result<bool> Volume::is_write_lease(InodeNumber number, Handle handle, immutable::LeaseId id) {
    DAXPIN_TRY_ASSIGN(const InodeRef inode, engine_->get(number));
    const SharedLock lock(inode->mutex);
    const auto *lease = inode->leases.find(handle, id);
    if (lease == nullptr)
        return Errc::invalid;
    return lease->write;
}

} // namespace daxpin::volume
