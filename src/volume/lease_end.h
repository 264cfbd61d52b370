// SPDX-License-Identifier: BSD-3-Clause
//
// What the end of a lease or pin means for the file and the kernel's caches of it.
#pragma once

#include "volume/engine.h"

namespace daxpin::volume {

// Ends all leases of the open file, as its release does: times for a write lease, caching
// allowed again if nothing else stands against it. True if there were any.
// REQUIRES: inode locked exclusively.
bool end_leases(Engine &engine, CachedInode &inode, Handle handle);

// If the file is neither pinned nor leased any more: the next open starts with an empty cache.
// REQUIRES: inode locked exclusively, pins known.
void allow_caching(CachedInode &inode);

} // namespace daxpin::volume
