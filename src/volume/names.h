// SPDX-License-Identifier: BSD-3-Clause
//
// What the operations on names have in common: checks of names and directories, finding the
// inode behind a name and making sure that it still is once the locks are held.
#pragma once

#include "volume/attribute_edits.h"
#include "volume/impl.h"

namespace daxpin::volume {

// ERRORS: invalid (empty, with a slash or NUL), name_too_long.
Result<void> check_name(std::string_view name);
// As check_name(), for a name that is to come into being. ERRORS: also exists (".", "..").
Result<void> check_new_name(std::string_view name);

// May an entry be added to, or removed from, this directory? REQUIRES: locked.
// ERRORS: not_found if the directory itself was removed; not_permitted (+i; +a: removal).
Result<void> check_may_add(const CachedInode &directory);
Result<void> check_may_remove(const CachedInode &directory);

// The inode behind `name`. Takes the directory's lock, shared. ERRORS: not_found.
Result<InodeRef> find_child(Engine &engine, CachedInode &directory, std::string_view name);
// As find_child(); nothing if there is no such name.
Result<InodeRef> find_child_if_any(Engine &engine, CachedInode &directory, std::string_view name);

// Whether `name` leads to `child` (to nothing, if null). REQUIRES: directory locked.
Result<bool> leads_to(Engine &engine, const CachedInode &directory, std::string_view name,
                      const CachedInode *child);

inode::Entry entry_of(const Attributes &attributes);

// Takes one name from `child`, as a part of `tx`; the last one makes it unfinished work.
Result<void> drop_link(Engine &engine, Transaction &tx, AttributeEdits &edits, CachedInode &child);

} // namespace daxpin::volume
