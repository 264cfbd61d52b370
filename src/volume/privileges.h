// SPDX-License-Identifier: BSD-3-Clause
//
// Set-id bits and file capabilities: what a new owner or new content takes away. It goes before the
// change, as in the kernel: a crash in between leaves a file with less power, never one with too
// much.
#pragma once

#include "volume/engine.h"

namespace daxpin::volume {

constexpr std::string_view capability_name = "security.capability";

// Takes setuid; and setgid if it means a group's rights, or if the caller is not in `group`, the
// file's, and has no CAP_FSETID. Without group execute setgid once meant mandatory locking.
void drop_set_id(Attributes &attributes, const Caller &caller, std::uint32_t group);

// REQUIRES: begin_change() held, inode locked exclusively.
Result<void> drop_capabilities(Engine &engine, CachedInode &inode);

} // namespace daxpin::volume
