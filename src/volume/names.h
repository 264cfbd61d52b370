// SPDX-License-Identifier: BSD-3-Clause
//
// What the operations on names have in common: checks of names and directories, finding the
// inode behind a name and making sure that it still is once the locks are held.
#pragma once

#include "volume/attribute_edits.h"
#include "volume/engine.h"

namespace daxpin::volume {

// ERRORS: invalid (empty, with a slash or NUL), name_too_long.
Result<void> check_name(std::string_view name);
// As check_name(), for a name that is to come into being. ERRORS: also exists (".", "..").
Result<void> check_new_name(std::string_view name);

// May an entry be added to, or removed from, this directory? REQUIRES: locked.
// ERRORS: not_found if the directory itself was removed; not_permitted (+i; +a: removal).
Result<void> check_may_add(const CachedInode &directory);
Result<void> check_may_remove(const CachedInode &directory);

// What a name led to when it was looked up.
struct NamedChild {
    InodeRef child;                 // may be none
    std::uint64_t name_changes = 0; // of the directory, by then
};

// The inode that an entry of `directory` leads to. REQUIRES: directory locked, so that the inode
// has a name; that it is gone, or another one, is damage. ERRORS: corrupt, io.
Result<InodeRef> get_child(Engine &engine, const CachedInode &directory, const inode::Entry &entry);

// Looks `name` up. Takes the directory's lock, shared.
Result<NamedChild> find_child_if_any(Engine &engine, CachedInode &directory, std::string_view name);
// The same for a name that must be there. ERRORS: not_found.
Result<NamedChild> find_child(Engine &engine, CachedInode &directory, std::string_view name);

// Whether `name` still leads there. REQUIRES: directory locked.
Result<bool> still_leads_to(Engine &engine, const CachedInode &directory, std::string_view name,
                            const NamedChild &found);

// The directory's attributes, in a transaction that changes its names.
// REQUIRES: directory locked exclusively.
Attributes &change_names(Engine &engine, AttributeEdits &edits, CachedInode &directory);

inode::Entry entry_of(const Attributes &attributes);

// Takes one name from `child`.
void drop_link(Engine &engine, AttributeEdits &edits, CachedInode &child);

} // namespace daxpin::volume
