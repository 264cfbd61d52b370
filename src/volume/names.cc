// SPDX-License-Identifier: BSD-3-Clause
//
// Looking names up; the checks that every change of a name shares.
#include "volume/names.h"

#include "volume/file_data.h"

#include <sys/stat.h>

namespace daxpin::volume {

Result<void> check_name(std::string_view name) {
    if (name.empty() || name.find('/') != name.npos || name.find('\0') != name.npos)
        return Errc::invalid;
    if (name.size() > inode::Directory::name_bytes_max)
        return Errc::name_too_long;
    return {};
}

Result<void> check_new_name(std::string_view name) {
    if (name == "." || name == "..")
        return Errc::exists;
    return check_name(name);
}

Result<void> check_may_add(const CachedInode &directory) {
    if (directory.attributes.link_count == 0)
        return Errc::not_found;
    if (directory.attributes.flags & format::inode_flag_immutable)
        return Errc::not_permitted;
    return {};
}

Result<void> check_may_remove(const CachedInode &directory) {
    DAXPIN_TRY(check_may_add(directory));
    if (directory.attributes.flags & format::inode_flag_append)
        return Errc::not_permitted;
    return {};
}

Result<InodeRef> get_child(Engine &engine, const CachedInode &directory,
                           const inode::Entry &entry) {
    auto inode = engine.get(entry.number);
    if (!inode && inode.code() != Errc::stale)
        return inode;
    if (inode && (*inode)->generation == entry.generation)
        return inode;
    return Error{Errc::corrupt,
                 "a name in directory " + std::to_string(directory.number.value) +
                     " leads to inode " + std::to_string(entry.number.value) +
                     (inode ? ", which is another's now" : ", which does not exist")};
}

Result<NamedChild> find_child_if_any(Engine &engine, CachedInode &directory,
                                     std::string_view name) {
    const SharedLock lock(directory.mutex);
    DAXPIN_TRY_ASSIGN(const auto entry, engine.directory(directory.number).find(nullptr, name));
    NamedChild found{{}, directory.name_changes};
    if (entry) {
        DAXPIN_TRY_ASSIGN(found.child, get_child(engine, directory, *entry));
    }
    return found;
}

Result<NamedChild> find_child(Engine &engine, CachedInode &directory, std::string_view name) {
    DAXPIN_TRY_ASSIGN(auto found, find_child_if_any(engine, directory, name));
    if (!found.child)
        return Errc::not_found;
    return found;
}

Result<bool> still_leads_to(Engine &engine, const CachedInode &directory, std::string_view name,
                            const NamedChild &found) {
    if (directory.name_changes == found.name_changes)
        return true;
    DAXPIN_TRY_ASSIGN(const auto entry, engine.directory(directory.number).find(nullptr, name));
    if (!entry || !found.child)
        return !entry && !found.child;
    return entry->number == found.child->number;
}

Attributes &change_names(Engine &engine, AttributeEdits &edits, CachedInode &directory) {
    ++directory.name_changes;
    Attributes &attributes = edits.of(directory);
    engine.touch(attributes, touch_mtime | touch_ctime);
    return attributes;
}

inode::Entry entry_of(const Attributes &attributes) {
    return {attributes.number, attributes.generation, (attributes.mode & S_IFMT) >> 12};
}

void drop_link(Engine &engine, AttributeEdits &edits, CachedInode &child) {
    Attributes &attributes = edits.of(child);
    attributes.link_count = attributes.is_directory() ? 0 : attributes.link_count - 1;
    engine.touch(attributes, touch_ctime);
}

Result<Attributes> Volume::lookup(InodeNumber parent, std::string_view name) {
    DAXPIN_TRY(check_name(name));
    DAXPIN_TRY_ASSIGN(auto directory, engine_->get_directory(parent));
    InodeRef child;
    if (name == ".") {
        child = directory.share();
    } else if (name == "..") {
        InodeNumber above;
        {
            const SharedLock lock(directory->mutex);
            above = directory->attributes.parent;
        }
        DAXPIN_TRY_ASSIGN(child, engine_->get(above));
    } else {
        DAXPIN_TRY_ASSIGN(auto found, find_child(*engine_, *directory, name));
        child = std::move(found.child);
    }
    const SharedLock lock(child->mutex);
    engine_->cache->add_lookup(child);
    return child->attributes;
}

void Volume::forget(InodeNumber inode, std::uint64_t count) {
    engine_->cache->forget(inode, count);
    engine_->removals.reap();
}

Result<std::string> Volume::read_link(InodeNumber number) {
    DAXPIN_TRY_ASSIGN(const auto inode, engine_->get(number));
    if (inode->type != S_IFLNK)
        return Errc::invalid;
    access_file(*engine_, *inode);
    btree::Item item;
    // The target never changes, so the lock only keeps removal away.
    const SharedLock lock(inode->mutex);
    DAXPIN_TRY_ASSIGN(
        const bool found,
        engine_->tree->find(nullptr, btree::Key::of(number, format::ItemType::symlink), item));
    if (!found)
        return Errc::corrupt;
    DAXPIN_TRY_ASSIGN(const auto target, inode::decode_blob(engine_->devices, item.value()));
    return std::string(reinterpret_cast<const char *>(target.data()), target.size());
}

} // namespace daxpin::volume
