// SPDX-License-Identifier: BSD-3-Clause
//
// Open file descriptions: how they are opened (direct or cached), what their end means. An open
// directory has one, too: it holds the inode in memory.
#include "volume/file_data.h"
#include "volume/lease_end.h"
#include "volume/privileges.h"

#include <algorithm>

namespace daxpin::volume {
namespace {

// While the map is frozen or handed out, or soon will be, the kernel must not cache. Nor may it
// where +a allows no change of what is there: what is stored through a mapping it would not ask.
bool opens_direct(const CachedInode &inode, const OpenRequest &request) {
    const bool appends_only =
        request.write && (inode.attributes.flags & format::inode_flag_append) != 0;
    return request.direct || appends_only || inode.direct_opens > 0 || !inode.leases.empty() ||
           !inode.pins || !inode.pins->empty();
}

Result<void> truncate_at_open(Engine &engine, const Caller &caller, CachedInode &inode,
                              const immutable::FileState &state, bool kill_privileges) {
    DAXPIN_TRY_ASSIGN(const auto *pins, engine.pins(inode));
    // change_size() asks, too, but what keeps its content keeps its capabilities.
    DAXPIN_TRY(immutable::check_size_change(state, *pins, inode.leases, 0));
    DAXPIN_TRY(drop_capabilities(engine, inode));
    Attributes changed = inode.attributes;
    if (kill_privileges)
        drop_set_id(changed, caller, changed.gid);
    engine.touch(changed, touch_mtime | touch_ctime);
    return engine.change_size(inode, changed, 0, 0);
}

Result<OpenReply> open_locked(Engine &engine, const Caller &caller, const InodeRef &inode,
                              const OpenRequest &request) {
    DAXPIN_TRY_ASSIGN(const auto state, engine.file_state(*inode));
    DAXPIN_TRY(immutable::check_open(state, request.write, request.append, request.truncate));
    if (request.truncate)
        DAXPIN_TRY(truncate_at_open(engine, caller, *inode, state, request.kill_privileges));
    return engine.add_handle(inode, request);
}

} // namespace

OpenReply Engine::add_handle(const InodeRef &inode, const OpenRequest &request) {
    // Pins that cannot be read count as pins.
    const bool known = pins(*inode).has_value();
    const bool direct = !known || opens_direct(*inode, request);
    const bool keep_cache = !direct && !inode->drop_cache;
    const Handle handle = next_handle.fetch_add(1);
    inode->handles.emplace(handle, OpenFile{inode.share(), request.write, request.append, direct});
    if (!direct) {
        inode->drop_cache = false;
        ++inode->cached_opens;
        inode->cached_writers += request.write ? 1 : 0;
    }
    return {handle, direct, keep_cache};
}

Result<OpenReply> Volume::open_file(const Caller &caller, InodeNumber number,
                                    const OpenRequest &request) {
    Engine &engine = *engine_;
    alloc::Grace::Guard change;
    if (request.write || request.truncate) {
        DAXPIN_TRY_ASSIGN(change, engine.begin_change());
    }
    DAXPIN_TRY_ASSIGN(const InodeRef inode, engine.get_regular(number));
    if (!request.write && !request.noatime)
        access_file_unexpectedly(engine, *inode);
    OpenReply reply;
    bool mode_changed = false;
    {
        const ExclusiveLock lock(inode->mutex);
        const std::uint32_t mode = inode->attributes.mode;
        DAXPIN_TRY_ASSIGN(reply, open_locked(engine, caller, inode, request));
        mode_changed = inode->attributes.mode != mode;
    }
    if (mode_changed)
        engine.tell_attributes_changed(number);
    return reply;
}

namespace {

using ClosedFile = decltype(CachedInode::handles)::node_type;

// Takes the open file out of the inode. True if it held leases.
bool close_file(Engine &engine, const InodeRef &inode, Handle handle) {
    ClosedFile closed; // dies after the lock
    const ExclusiveLock lock(inode->mutex);
    if (!inode->handles.contains(handle))
        return false;
    const bool leased = end_leases(engine, *inode, handle);
    closed = inode->take_handle(handle);
    return leased;
}

bool release_file(Engine &engine, InodeNumber number, Handle handle) {
    const auto inode = engine.get(number);
    return inode && close_file(engine, *inode, handle);
}

// Names that changed since they were listed last will be asked for: list() counts as the access.
// Others the kernel may have in its cache. Programs open directories to fsync(2) them, too.
bool may_be_cached(CachedInode &directory) {
    const SharedLock lock(directory.mutex);
    return directory.attributes.atime_ns > directory.attributes.mtime_ns;
}

} // namespace

void Volume::release(InodeNumber number, Handle handle) {
    Engine &engine = *engine_;
    const bool leased = release_file(engine, number, handle);
    {
        const MutexLock lock(engine.release_mutex);
        engine.released.notify_all();
    }
    if (leased) {
        engine.quarantine.return_given_up();
        engine.tell_data_changed(number);
    }
    engine.removals.reap();
}

Result<void> Volume::open_directory(InodeNumber number) {
    Engine &engine = *engine_;
    DAXPIN_TRY_ASSIGN(const InodeRef directory, engine.get_directory(number));
    if (may_be_cached(*directory))
        access_file_unexpectedly(engine, *directory);
    const ExclusiveLock lock(directory->mutex);
    directory->handles.emplace(engine.next_handle.fetch_add(1), OpenFile{directory.share()});
    return {};
}

// The opens of a directory are all alike: any of them is the one that ends.
void Volume::release_directory(InodeNumber number) {
    Engine &engine = *engine_;
    if (const auto directory = engine.get_directory(number)) {
        ClosedFile closed; // dies after the lock
        const ExclusiveLock lock((*directory)->mutex);
        auto &handles = (*directory)->handles;
        if (!handles.empty())
            closed = handles.extract(handles.begin());
    }
    engine.removals.reap();
}

} // namespace daxpin::volume
