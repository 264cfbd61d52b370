// SPDX-License-Identifier: BSD-3-Clause
//
// What the end of a lease or pin means for the file and the kernel's caches of it.
#pragma once

#include "volume/impl.h"

namespace daxpin::volume {

// Ends all leases of the open file, as its release does: times for a write lease, caching
// allowed again if nothing else stands against it. True if there were any.
// REQUIRES: inode locked exclusively.
bool end_leases(Engine &engine, CachedInode &inode, Handle handle);

// If the file is neither pinned nor leased any more: the next open starts with an empty cache.
// REQUIRES: inode locked exclusively, pins known.
void allow_caching(CachedInode &inode);

// What write() through the mapping would have done to times and privileges. Best effort at the
// end of a lease. REQUIRES: inode locked exclusively.
Attributes stamped_by_mapper(Engine &engine, const CachedInode &inode);

// Tells the kernel that its pages and attributes of the file are stale.
// REQUIRES: no lock held.
void tell_observer(Engine &engine, InodeNumber number);

} // namespace daxpin::volume
