// SPDX-License-Identifier: BSD-3-Clause
//
// Access control lists and the mode, kept in step: the kernel decides by both.
//
// An access list that says no more than the mode is not stored. A directory's default list is
// cached with its inode, for every creation asks for it.
#pragma once

#include "volume/engine.h"

namespace daxpin::volume {

constexpr std::string_view access_list_name = "system.posix_acl_access";
constexpr std::string_view default_list_name = "system.posix_acl_default";

constexpr bool is_access_list(std::string_view name) {
    return name == access_list_name || name == default_list_name;
}

// What a new inode gets from its directory's default list, or else from the umask.
struct Inherited {
    std::uint32_t mode = 0; // type included
    std::optional<inode::Acl> access = {};
    std::optional<inode::Acl> fallback = {}; // the new directory's own default list

    Result<void> store(Engine &engine, Transaction &tx, InodeNumber number) const;
};

// REQUIRES: directory locked exclusively.
Result<Inherited> inherit(Engine &engine, CachedInode &directory, std::uint32_t mode,
                          std::uint32_t umask);

// The access list of an inode whose permission bits become those of `mode`, if it has one.
Result<void> follow_mode(Engine &engine, Transaction &tx, InodeNumber number, std::uint32_t mode);

// setxattr and removexattr of either list; setting the access list sets the mode.
// REQUIRES: begin_change() held, inode locked exclusively.
// ERRORS: access (a default list on what is no directory), unsupported (a list on a symbolic
// link), invalid.
Result<void> set_list(Engine &engine, CachedInode &inode, const Caller &caller,
                      std::string_view name, std::span<const std::byte> value);
Result<void> remove_list(Engine &engine, CachedInode &inode, std::string_view name);

} // namespace daxpin::volume
