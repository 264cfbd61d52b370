// SPDX-License-Identifier: BSD-3-Clause
//
// rename in all modes.
//
// Both names are looked up, everything involved is locked in ascending order; if a name leads
// elsewhere by now, all over again. Renames that move a directory
// to another one hold rename_mutex, so that the ancestors of a directory stand still while the
// way up from the destination is walked.
#include "volume/names.h"

#include <array>
#include <limits>
#include <optional>
#include <sys/stat.h>

namespace daxpin::volume {

namespace {

struct Rename {
    const Caller &caller;
    InodeRef from;
    std::string_view from_name;
    InodeRef to;
    std::string_view to_name;
    RenameMode mode;
    // NamedChild anew in each attempt; declared last, so dropped first.
    NamedChild source_found = {};
    NamedChild target_found = {};

    CachedInode *source() const { return source_found.child.get(); }
    CachedInode *target() const { return target_found.child.get(); } // may be none

    bool exchange() const { return mode == RenameMode::exchange; }
    bool same_directory() const { return from.get() == to.get(); }
    bool moves_directory() const {
        return !same_directory() &&
               (source()->type == S_IFDIR || (exchange() && target() && target()->type == S_IFDIR));
    }
    // The directories that get another parent.
    struct Moved { // asked for after the commit, when nothing may fail for want of memory
        std::array<InodeNumber, 2> numbers{};
        std::size_t count = 0;
    };
    Moved moved_directories() const {
        Moved moved;
        for (const auto *inode : {source(), exchange() ? target() : nullptr})
            if (inode != nullptr && inode->type == S_IFDIR && !same_directory())
                moved.numbers[moved.count++] = inode->number;
        return moved;
    }
};

// rename_mutex, if this rename needs it.
class MoveLock {
  public:
    MoveLock(Mutex &mutex, bool wanted) NO_THREAD_SAFETY_ANALYSIS
        : mutex_(wanted ? &mutex : nullptr) {
        if (mutex_)
            mutex_->lock();
    }
    ~MoveLock() NO_THREAD_SAFETY_ANALYSIS {
        if (mutex_)
            mutex_->unlock();
    }
    MoveLock(const MoveLock &) = delete;
    MoveLock &operator=(const MoveLock &) = delete;

  private:
    Mutex *mutex_;
};

// Whether `directory` is `ancestor` or lies below it. REQUIRES: rename_mutex held; no inode lock.
Result<bool> is_below(Engine &engine, const InodeRef &directory, const CachedInode &ancestor) {
    InodeRef at = directory.share();
    InodeNumber mark; // Brent's method: parent pointers that lead in a circle are damage
    for (std::uint64_t steps = 0, limit = 1;; ++steps) {
        if (at->number == ancestor.number)
            return true;
        if (at->number == mark)
            return Errc::corrupt;
        if (steps == limit) {
            mark = at->number;
            limit *= 2;
            steps = 0;
        }
        InodeNumber above;
        {
            const SharedLock lock(at->mutex);
            above = at->attributes.parent;
        }
        if (above == at->number || at->number.value == format::root_inode)
            return false;
        auto next = engine.get(above);
        if (!next && next.code() == Errc::stale)
            return false; // `directory` was removed: refused once it is locked
        DAXPIN_TRY_ASSIGN(at, std::move(next));
    }
}

// A directory must not come to lie below itself.
Result<void> check_cycles(Engine &engine, const Rename &rename) {
    if (rename.source()->type == S_IFDIR) {
        DAXPIN_TRY_ASSIGN(const bool below, is_below(engine, rename.to, *rename.source()));
        if (below)
            return Errc::invalid;
    }
    if (rename.exchange() && rename.target() && rename.target()->type == S_IFDIR) {
        DAXPIN_TRY_ASSIGN(const bool below, is_below(engine, rename.from, *rename.target()));
        if (below)
            return Errc::invalid;
    }
    return {};
}

Result<void> find_both(Engine &engine, Rename &rename) {
    DAXPIN_TRY_ASSIGN(rename.source_found, find_child(engine, *rename.from, rename.from_name));
    DAXPIN_TRY_ASSIGN(rename.target_found, find_child_if_any(engine, *rename.to, rename.to_name));
    if (!rename.target() && rename.exchange())
        return Errc::not_found;
    if (rename.target() && rename.mode == RenameMode::no_replace)
        return Errc::exists;
    return {};
}

Result<bool> still_there(Engine &engine, const Rename &rename) {
    DAXPIN_TRY_ASSIGN(const bool source,
                      still_leads_to(engine, *rename.from, rename.from_name, rename.source_found));
    if (!source)
        return false;
    return still_leads_to(engine, *rename.to, rename.to_name, rename.target_found);
}

Result<void> check_replaced(Engine &engine, const Rename &rename) {
    CachedInode &target = *rename.target();
    DAXPIN_TRY(check_may_remove(*rename.to));
    if (rename.source()->type == S_IFDIR && target.type != S_IFDIR)
        return Errc::not_directory;
    if (rename.source()->type != S_IFDIR && target.type == S_IFDIR)
        return Errc::is_directory;
    DAXPIN_TRY_ASSIGN(const auto state, engine.file_state(target));
    DAXPIN_TRY(immutable::check_unlink(state));
    if (target.type == S_IFDIR && target.attributes.size != 0)
        return Errc::not_empty;
    return {};
}

Result<void> check_movable(const CachedInode &inode) {
    if (inode.attributes.flags & (format::inode_flag_immutable | format::inode_flag_append))
        return Errc::not_permitted;
    return {};
}

// REQUIRES: all four locked.
Result<void> check_rename(Engine &engine, const Rename &rename) {
    DAXPIN_TRY(check_may_remove(*rename.from));
    DAXPIN_TRY(check_may_add(*rename.to));
    DAXPIN_TRY(check_movable(*rename.source()));
    if (rename.exchange()) {
        DAXPIN_TRY(check_may_remove(*rename.to));
        DAXPIN_TRY(check_movable(*rename.target()));
    } else if (rename.target()) {
        DAXPIN_TRY(check_replaced(engine, rename));
    }
    const bool to_gains = rename.moves_directory() && rename.source()->type == S_IFDIR;
    if (to_gains && rename.to->attributes.link_count == std::numeric_limits<std::uint32_t>::max())
        return Errc::too_many_links;
    return {};
}

// Moves what a directory's links and parent pointer say.
void move_directory(AttributeEdits &edits, CachedInode &moved, CachedInode &from, CachedInode &to) {
    if (moved.type != S_IFDIR || &from == &to)
        return;
    edits.of(moved).parent = to.number;
    --edits.of(from).link_count;
    ++edits.of(to).link_count;
}

Result<void> swap_entries(Engine &engine, Transaction &tx, AttributeEdits &edits,
                          const Rename &rename) {
    CachedInode &source = *rename.source();
    CachedInode &target = *rename.target();
    DAXPIN_TRY(engine.directory(rename.from->number)
                   .replace(tx, rename.from_name, entry_of(target.attributes)));
    DAXPIN_TRY(engine.directory(rename.to->number)
                   .replace(tx, rename.to_name, entry_of(source.attributes)));
    move_directory(edits, source, *rename.from, *rename.to);
    move_directory(edits, target, *rename.to, *rename.from);
    engine.touch(edits.of(target), touch_ctime);
    return {};
}

// Puts the source's new entry in place, over the target's if there is one.
Result<void> enter_source(Engine &engine, Transaction &tx, AttributeEdits &edits,
                          const Rename &rename) {
    auto to = engine.directory(rename.to->number);
    const auto entry = entry_of(rename.source()->attributes);
    if (!rename.target()) {
        ++edits.of(*rename.to).size;
        return to.insert(tx, rename.to_name, entry);
    }
    DAXPIN_TRY(to.replace(tx, rename.to_name, entry));
    if (rename.target()->type == S_IFDIR)
        --edits.of(*rename.to).link_count;
    drop_link(engine, edits, *rename.target());
    return {};
}

// A whiteout is a character device 0:0; overlayfs leaves one where a lower name is hidden.
Result<Attributes> whiteout(Engine &engine, const Caller &caller, InodeNumber parent) {
    DAXPIN_TRY_ASSIGN(const auto identity, engine.table->new_identity(parent));
    Attributes made;
    made.number = identity.number;
    made.generation = identity.generation;
    made.mode = S_IFCHR;
    made.uid = caller.uid;
    made.gid = caller.gid;
    made.link_count = 1;
    engine.touch(made, touch_atime | touch_mtime | touch_ctime);
    made.btime_ns = made.ctime_ns;
    return made;
}

Result<void> leave_source(Engine &engine, Transaction &tx, AttributeEdits &edits,
                          const Rename &rename) {
    auto from = engine.directory(rename.from->number);
    if (rename.mode != RenameMode::whiteout) {
        --edits.of(*rename.from).size;
        return from.erase(tx, rename.from_name);
    }
    DAXPIN_TRY_ASSIGN(const Attributes made, whiteout(engine, rename.caller, rename.from->number));
    DAXPIN_TRY(engine.table->store(tx, made));
    return from.replace(tx, rename.from_name, entry_of(made));
}

Result<void> change_entries(Engine &engine, Transaction &tx, AttributeEdits &edits,
                            const Rename &rename) {
    edits.restart();
    if (rename.exchange()) {
        DAXPIN_TRY(swap_entries(engine, tx, edits, rename));
    } else {
        // The old name goes first, so that renaming within a full leaf needs no room.
        DAXPIN_TRY(leave_source(engine, tx, edits, rename));
        DAXPIN_TRY(enter_source(engine, tx, edits, rename));
        move_directory(edits, *rename.source(), *rename.from, *rename.to);
    }
    engine.touch(edits.of(*rename.source()), touch_ctime);
    change_names(engine, edits, *rename.from);
    change_names(engine, edits, *rename.to);
    return edits.store(*engine.table, *engine.unfinished, tx);
}

Result<void> commit(Engine &engine, const Rename &rename) {
    AttributeEdits edits;
    // A whiteout is a new inode.
    const auto purpose =
        rename.mode == RenameMode::whiteout ? alloc::Purpose::ordinary : alloc::Purpose::rearrange;
    DAXPIN_TRY(engine.transact(
        [&](Transaction &tx) { return change_entries(engine, tx, edits, rename); }, purpose));
    edits.publish();
    return {};
}

// One attempt; false if a name had come to lead elsewhere when the locks were held.
Result<bool> attempt(Engine &engine, Rename &rename) {
    DAXPIN_TRY(find_both(engine, rename));
    const MoveLock move_lock(engine.rename_mutex, rename.moves_directory());
    if (rename.moves_directory())
        DAXPIN_TRY(check_cycles(engine, rename));
    const InodeLocks locks{rename.from.get(), rename.to.get(), rename.source(), rename.target()};
    DAXPIN_TRY_ASSIGN(const bool unchanged, still_there(engine, rename));
    if (!unchanged)
        return false;
    if (rename.source() == rename.target())
        return true; // two names of one inode: nothing to do, says POSIX
    DAXPIN_TRY(check_rename(engine, rename));
    DAXPIN_TRY(commit(engine, rename));
    return true;
}

Result<void> check_rename_name(std::string_view name) {
    if (name == "." || name == "..")
        return Errc::busy;
    return check_name(name);
}

Result<void> run(Engine &engine, Rename &rename) {
    for (;;) {
        DAXPIN_TRY_ASSIGN(const bool done, attempt(engine, rename));
        if (done)
            return {};
    }
}

} // namespace

Result<void> Volume::rename(const Caller &caller, InodeNumber from, std::string_view from_name,
                            InodeNumber to, std::string_view to_name, RenameMode mode) {
    DAXPIN_TRY(check_rename_name(from_name));
    DAXPIN_TRY(check_rename_name(to_name));
    Rename::Moved moved;
    {
        DAXPIN_TRY_ASSIGN(const auto change, engine_->begin_change());
        DAXPIN_TRY_ASSIGN(auto from_directory, engine_->get_directory(from));
        DAXPIN_TRY_ASSIGN(auto to_directory, engine_->get_directory(to));
        Rename rename{
            caller, std::move(from_directory), from_name, std::move(to_directory), to_name, mode};
        DAXPIN_TRY(run(*engine_, rename));
        moved = rename.moved_directories();
    }
    engine_->removals.reap();
    for (std::size_t i = 0; i < moved.count; ++i) // a listing that is kept has the old ".."
        engine_->tell_data_changed(moved.numbers[i]);
    return {};
}

} // namespace daxpin::volume
