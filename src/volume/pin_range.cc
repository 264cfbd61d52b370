// SPDX-License-Identifier: BSD-3-Clause
//
// PIN, UNPIN, EXTEND, STATUS.
#include "volume/lease_end.h"
#include "volume/pin_prepare.h"

#include <linux/capability.h>
#include <new>

namespace daxpin::volume {
namespace {

bool may_pin(const Engine &engine, const Caller &caller, const Attributes &attributes) {
    switch (engine.options.pin) {
    case PinPolicy::off:
        return false;
    case PinPolicy::capability:
        return caller.capable(CAP_LINUX_IMMUTABLE);
    case PinPolicy::owner:
        return caller.may_act_for(attributes.uid);
    }
    return false;
}

bool covers(const std::vector<BlockRange> &pins, BlockRange range) {
    for (const BlockRange &pin : pins)
        if (pin.first <= range.first && range.end() <= pin.end())
            return true;
    return false;
}

bool overlaps(const std::vector<BlockRange> &pins, BlockRange range) {
    for (const BlockRange &pin : pins)
        if (pin.overlaps(range))
            return true;
    return false;
}

// Commits a change of the pins together with `changed`. The cached list is read again.
template <typename Change> Result<void> commit_pins(Engine &engine, CachedInode &inode,
                                                    const Attributes &changed, Change &&change) {
    DAXPIN_TRY(engine.transact([&](Transaction &tx) -> Result<void> {
        auto table = engine.pin_table(inode.number);
        DAXPIN_TRY(change(tx, table));
        return engine.table->store(tx, changed);
    }));
    inode.attributes = changed;
    inode.pins.reset();
    // If it cannot be read now, whoever needs it tries again and fails.
    try {
        static_cast<void>(engine.pins(inode).has_value());
    } catch (const std::bad_alloc &) {
        return {}; // the change itself is done
    }
    return {};
}

class PinOperation {
  public:
    PinOperation(Engine &engine, CachedInode &inode, const Caller &caller,
                 const PinRequest &request)
        : engine_(engine), inode_(inode), caller_(caller), request_(request) {}

    Result<std::optional<BlockRange>> check();
    Result<void> grant(BlockRange range);

  private:
    bool whole_wanted() const { return request_.range.whole(); }

    Engine &engine_;
    CachedInode &inode_;
    const Caller &caller_;
    const PinRequest &request_;
};

Result<std::optional<BlockRange>> PinOperation::check() {
    DAXPIN_TRY_ASSIGN(const auto state, engine_.file_state(inode_));
    if (state.read_only_mount)
        return Errc::read_only;
    DAXPIN_TRY_ASSIGN(const auto asker, pin_caller(engine_, caller_, inode_, request_.handle));
    DAXPIN_TRY_ASSIGN(const auto range,
                      immutable::check_pin_request(state, asker, request_.range, request_.align));
    DAXPIN_TRY_ASSIGN(const auto *pins, engine_.pins(inode_));
    if (!covers(*pins, range) || (whole_wanted() && !state.pinned_whole))
        return std::optional{range};
    // What is pinned fits the mapping unit, but perhaps not what is asked now.
    const std::uint64_t align = mapping_align(engine_, request_.align);
    DAXPIN_TRY_ASSIGN(const bool fits, align == mapping_align(engine_, 0)
                                           ? Result<bool>(true)
                                           : fits_mapping(engine_, inode_, range, align));
    return fits ? std::nullopt : std::optional{range};
}

Result<void> PinOperation::grant(BlockRange range) {
    Attributes changed = inode_.attributes;
    if (whole_wanted())
        changed.flags |= format::inode_flag_pinned_whole;
    engine_.touch(changed, touch_ctime);
    return commit_pins(engine_, inode_, changed,
                       [&](Transaction &tx, auto &table) { return table.add(tx, range); });
}

// True if anything was unpinned. REQUIRES: inode locked exclusively.
Result<bool> unpin_locked(Engine &engine, CachedInode &inode, const Caller &caller,
                          immutable::ByteRange asked, Handle handle) {
    DAXPIN_TRY_ASSIGN(const auto state, engine.file_state(inode));
    DAXPIN_TRY_ASSIGN(const auto asker, pin_caller(engine, caller, inode, handle));
    DAXPIN_TRY_ASSIGN(const auto range, immutable::check_pin_request(state, asker, asked, 0));
    DAXPIN_TRY_ASSIGN(const auto *pins, engine.pins(inode));
    if (!overlaps(*pins, range))
        return false;
    DAXPIN_TRY(immutable::check_unpin_leases(inode.leases, range, handle));
    Attributes changed = inode.attributes;
    changed.flags &= ~format::inode_flag_pinned_whole;
    engine.touch(changed, touch_ctime);
    DAXPIN_TRY(commit_pins(engine, inode, changed,
                           [&](Transaction &tx, auto &table) { return table.remove(tx, range); }));
    allow_caching(inode);
    return true;
}

// What EXTEND has to make fit and to pin: from the unit of the old end on.
BlockRange extension(const Engine &engine, std::uint64_t old_size, std::uint64_t new_size) {
    const std::uint64_t unit = engine.mapping_unit;
    const FileBlock first{old_size / unit * (unit / block_size)};
    return {first, immutable::end_of(new_size, unit) - first};
}

class ExtendOperation {
  public:
    ExtendOperation(Engine &engine, CachedInode &inode, const Caller &caller,
                    std::uint64_t new_size, Handle handle)
        : engine_(engine), inode_(inode), caller_(caller), new_size_(new_size), handle_(handle) {}

    Result<std::optional<BlockRange>> check();
    // What other than zeros is written behind the end, before anything is prepared there.
    Result<void> clear();
    Result<void> grant(BlockRange range);

  private:
    Engine &engine_;
    CachedInode &inode_;
    const Caller &caller_;
    std::uint64_t new_size_;
    Handle handle_;
};

Result<std::optional<BlockRange>> ExtendOperation::check() {
    DAXPIN_TRY_ASSIGN(const auto state, engine_.file_state(inode_));
    DAXPIN_TRY_ASSIGN(const auto asker, pin_caller(engine_, caller_, inode_, handle_));
    DAXPIN_TRY(immutable::check_extend_request(state, asker, new_size_));
    if (new_size_ == state.size)
        return std::optional<BlockRange>{};
    return std::optional{extension(engine_, state.size, new_size_)};
}

Result<void> ExtendOperation::clear() {
    const ExclusiveLock lock(inode_.mutex);
    DAXPIN_TRY_ASSIGN(const auto range, check());
    if (!range)
        return {};
    DAXPIN_TRY(finish_truncate(engine_, inode_));
    return zero_behind_end(engine_, inode_, range->end());
}

Result<void> ExtendOperation::grant(BlockRange range) {
    Attributes changed = inode_.attributes;
    changed.size = new_size_;
    engine_.touch(changed, touch_mtime | touch_ctime);
    DAXPIN_TRY(commit_pins(engine_, inode_, changed,
                           [&](Transaction &tx, auto &table) { return table.add(tx, range); }));
    inode_.end_moved = true;
    return {};
}

} // namespace

Result<immutable::PinCaller> pin_caller(const Engine &engine, const Caller &caller,
                                        const CachedInode &inode, Handle handle) {
    immutable::PinCaller asker;
    asker.may_pin = may_pin(engine, caller, inode.attributes);
    asker.handle = handle;
    if (handle == 0)
        return asker;
    const OpenFile *file = find_handle(inode, handle);
    if (file == nullptr)
        return Errc::bad_handle;
    asker.writable = file->write;
    return asker;
}

Result<void> Volume::pin(const Caller &caller, InodeNumber number, const PinRequest &request) {
    Engine &engine = *engine_;
    DAXPIN_TRY_ASSIGN(const auto change, engine.begin_change());
    DAXPIN_TRY_ASSIGN(const InodeRef inode, engine.get(number));
    PinOperation operation(engine, *inode, caller, request);
    bool granted = false;
    const Freeze how{caller, mapping_align(engine, request.align), request.prepare,
                     [&] { return operation.check(); },
                     [&](BlockRange range) -> Result<void> {
                         DAXPIN_TRY(operation.grant(range));
                         granted = true;
                         return {};
                     }};
    DAXPIN_TRY(freeze(engine, *inode, how));
    if (granted)
        engine.tell_data_changed(number);
    return {};
}

Result<void> Volume::unpin(const Caller &caller, InodeNumber number, immutable::ByteRange range,
                           Handle handle) {
    Engine &engine = *engine_;
    DAXPIN_TRY_ASSIGN(const auto change, engine.begin_change());
    DAXPIN_TRY_ASSIGN(const InodeRef inode, engine.get(number));
    bool changed = false;
    {
        const ExclusiveLock lock(inode->mutex);
        DAXPIN_TRY_ASSIGN(changed, unpin_locked(engine, *inode, caller, range, handle));
    }
    if (changed)
        engine.tell_data_changed(number);
    return {};
}

Result<void> Volume::extend(const Caller &caller, InodeNumber number, std::uint64_t new_size,
                            Handle handle) {
    Engine &engine = *engine_;
    DAXPIN_TRY_ASSIGN(const auto change, engine.begin_change());
    DAXPIN_TRY_ASSIGN(const InodeRef inode, engine.get(number));
    ExtendOperation operation(engine, *inode, caller, new_size, handle);
    bool granted = false;
    const Freeze how{caller, mapping_align(engine, 0), true, [&] { return operation.check(); },
                     [&](BlockRange range) -> Result<void> {
                         DAXPIN_TRY(operation.grant(range));
                         granted = true;
                         return {};
                     }};
    DAXPIN_TRY(operation.clear());
    DAXPIN_TRY(freeze(engine, *inode, how));
    if (granted)
        engine.tell_data_changed(number);
    return {};
}

Result<PinStatus> Volume::pin_status(InodeNumber number) {
    Engine &engine = *engine_;
    DAXPIN_TRY_ASSIGN(const InodeRef inode, engine.get(number));
    const ExclusiveLock lock(inode->mutex);
    DAXPIN_TRY_ASSIGN(const auto *pins, engine.pins(*inode));
    PinStatus status;
    status.pinned = !pins->empty();
    status.pins = *pins;
    status.whole = (inode->attributes.flags & format::inode_flag_pinned_whole) != 0;
    status.read_only = engine.is_read_only();
    status.direct = status.pinned || !inode->leases.empty() || inode->direct_opens > 0;
    for (const BlockRange &pin : *pins)
        status.pinned_bytes += pin.count.bytes();
    status.lease_count = inode->leases.count();
    status.asked_back = inode->leases.asked_back();
    status.generation = inode->leases.generation();
    if (inode->preparing > 0) {
        status.prepare_done = inode->prepare_done;
        status.prepare_total = inode->prepare_total;
    }
    return status;
}

} // namespace daxpin::volume
