// SPDX-License-Identifier: BSD-3-Clause
//
// Listing directories, in batches: a batch is read under the directory's lock, shown without it.
// So the visitor may call back, and no child is locked below its parent out of order.
#include "volume/file_data.h"
#include "volume/names.h"

#include <sys/stat.h>

namespace daxpin::volume {

namespace {

constexpr std::uint64_t dot_cookie = 1;
constexpr std::uint64_t dotdot_cookie = 2;
constexpr std::size_t batch_max = 64;
constexpr unsigned type_directory = S_IFDIR >> 12; // DT_DIR

struct Found {
    std::string name;
    std::uint64_t cookie;
    inode::Entry entry;
    InodeRef inode; // if attributes are wanted and can be had
    std::optional<Error> damage = {};
};

Result<std::vector<Found>> read_batch(Engine &engine, CachedInode &directory, std::uint64_t after,
                                      bool with_inodes) {
    std::vector<Found> batch;
    const SharedLock lock(directory.mutex);
    DAXPIN_TRY(engine.directory(directory.number)
                   .list(after, [&](std::uint64_t cookie, std::string_view name,
                                    const inode::Entry &entry) {
                       batch.push_back({std::string(name), cookie, entry, {}, {}});
                       return batch.size() < batch_max;
                   }));
    if (!with_inodes)
        return batch;
    for (Found &found : batch) {
        auto inode = get_child(engine, directory, found.entry);
        if (inode)
            found.inode = std::move(*inode);
        else if (inode.code() != Errc::corrupt && inode.code() != Errc::io)
            return std::move(inode).error();
        else // of one file: it does not hide the names beside it
            found.damage = std::move(inode).error();
    }
    return batch;
}

Attributes snapshot(CachedInode &inode) {
    const SharedLock lock(inode.mutex);
    return inode.attributes;
}

bool show(Engine &engine, const Found &found, const Volume::EntryVisitor &visit) {
    const ListedEntry listed{found.name, found.cookie, found.entry.number, found.entry.type};
    if (!found.inode)
        return visit(listed, nullptr);
    const Attributes attributes = snapshot(*found.inode);
    // Counted before the kernel can know of it; taken back if it was not accepted.
    engine.cache->add_lookup(found.inode);
    if (visit(listed, &attributes))
        return true;
    engine.cache->forget(found.entry.number, 1);
    return false;
}

// "." or "..": not stored, not looked up.
Result<bool> show_dots(Engine &engine, CachedInode &directory, std::uint64_t after, bool attributes,
                       const Volume::EntryVisitor &visit) {
    const Attributes own = snapshot(directory);
    if (after < dot_cookie &&
        !visit({".", dot_cookie, own.number, type_directory}, attributes ? &own : nullptr))
        return false;
    if (after >= dotdot_cookie)
        return true;
    if (!attributes)
        return visit({"..", dotdot_cookie, own.parent, type_directory}, nullptr);
    DAXPIN_TRY_ASSIGN(const auto parent, engine.get(own.parent));
    const Attributes above = snapshot(*parent);
    return visit({"..", dotdot_cookie, above.number, type_directory}, &above);
}

} // namespace

Result<void> Volume::list(InodeNumber number, std::uint64_t after, bool attributes,
                          const EntryVisitor &visit) {
    DAXPIN_TRY_ASSIGN(const auto directory, engine_->get_directory(number));
    if (after == 0)
        access_file(*engine_, *directory);
    DAXPIN_TRY_ASSIGN(const bool go_on, show_dots(*engine_, *directory, after, attributes, visit));
    if (!go_on)
        return {};
    for (;;) {
        DAXPIN_TRY_ASSIGN(const auto batch, read_batch(*engine_, *directory, after, attributes));
        for (const Found &found : batch) {
            if (found.damage)
                engine_->note_failure(*found.damage);
            if (!show(*engine_, found, visit))
                return {};
            after = found.cookie;
        }
        if (batch.size() < batch_max)
            return {};
    }
}

} // namespace daxpin::volume
