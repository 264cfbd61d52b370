// SPDX-License-Identifier: BSD-3-Clause
//
// Set-id bits and file capabilities: what a new owner or new content takes away. It goes before the
// change, as in the kernel: a crash in between leaves a file with less power, never one with too
// much.
#pragma once

#include "volume/impl.h"

namespace daxpin::volume {

constexpr std::string_view capability_name = "security.capability";

// setuid, and setgid if it means a group's rights and not mandatory locking.
bool has_set_id(const Attributes &attributes);
void drop_set_id(Attributes &attributes);

// REQUIRES: begin_change() held, inode locked exclusively.
Result<void> drop_capabilities(Engine &engine, CachedInode &inode);

} // namespace daxpin::volume
