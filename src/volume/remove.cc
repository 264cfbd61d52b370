// SPDX-License-Identifier: BSD-3-Clause
//
// unlink and rmdir.
#include "volume/names.h"

#include <sys/stat.h>

namespace daxpin::volume {

namespace {

// REQUIRES: both locked.
Result<void> check_removal(Engine &engine, CachedInode &directory, CachedInode &child,
                           bool directory_wanted) {
    DAXPIN_TRY(check_may_remove(directory));
    if (directory_wanted && child.type != S_IFDIR)
        return Errc::not_directory;
    if (!directory_wanted && child.type == S_IFDIR)
        return Errc::is_directory;
    DAXPIN_TRY_ASSIGN(const auto state, engine.file_state(child));
    DAXPIN_TRY(immutable::check_unlink(state));
    if (directory_wanted && child.attributes.size != 0)
        return Errc::not_empty;
    return {};
}

// REQUIRES: both locked, `name` leads to `child`.
Result<void> remove_entry(Engine &engine, CachedInode &directory, std::string_view name,
                          CachedInode &child) {
    AttributeEdits edits;
    DAXPIN_TRY(engine.transact(
        [&](Transaction &tx) -> Result<void> {
            edits.restart();
            DAXPIN_TRY(engine.directory(directory.number).erase(tx, name));
            Attributes &above = change_names(engine, edits, directory);
            --above.size;
            if (child.type == S_IFDIR)
                --above.link_count;
            drop_link(engine, edits, child);
            return edits.store(*engine.table, *engine.unfinished, tx);
        },
        alloc::Purpose::release));
    edits.publish();
    return {};
}

Result<void> remove(Engine &engine, InodeNumber parent, std::string_view name,
                    bool directory_wanted) {
    DAXPIN_TRY(check_name(name));
    DAXPIN_TRY_ASSIGN(const auto change, engine.begin_change());
    DAXPIN_TRY_ASSIGN(const auto directory, engine.get_directory(parent));
    for (;;) {
        DAXPIN_TRY_ASSIGN(const auto found, find_child(engine, *directory, name));
        CachedInode &child = *found.child;
        const InodeLocks locks{directory.get(), &child};
        DAXPIN_TRY_ASSIGN(const bool unchanged, still_leads_to(engine, *directory, name, found));
        if (!unchanged)
            continue;
        DAXPIN_TRY(check_removal(engine, *directory, child, directory_wanted));
        return remove_entry(engine, *directory, name, child);
    }
}

} // namespace

Result<void> Volume::unlink(const Caller &, InodeNumber parent, std::string_view name) {
    if (name == "." || name == "..")
        return Errc::is_directory;
    auto result = remove(*engine_, parent, name, false);
    engine_->removals.reap();
    return result;
}

Result<void> Volume::remove_directory(const Caller &, InodeNumber parent, std::string_view name) {
    if (name == ".")
        return Errc::invalid;
    if (name == "..")
        return Errc::not_empty;
    auto result = remove(*engine_, parent, name, true);
    engine_->removals.reap();
    return result;
}

} // namespace daxpin::volume
