// SPDX-License-Identifier: BSD-3-Clause
//
// compare(): what a fault and its repair have cost, and whether they may have.
//
// Decided by inode. An inode is *hit* if it has an item or a block of a blob in what the fault
// damaged, or below it in the tree (Span::inodes). The names in a directory are items of the
// directory. From this follows what must be as before:
//   - an inode that is not hit: attributes, extended attributes, target, data, pins, to the byte;
//   - a name, if neither its directory nor the inode it leads to is hit;
//   - that an inode that is not hit has a name at all, if only in lost+found;
//   - that there is nothing which was not there before, but lost+found.
// Where names may go, or come back from an older copy, counts go with them: link count and parent
// of what a hit directory names, link count and size of a directory that names what is hit. fsck
// has checked these.
#pragma once

#include "crash/dump.h"

namespace daxpin::faults {

struct Comparison {
    std::string problem;              // what must be as before and is not
    std::set<std::uint64_t> affected; // hit inodes that differ, or lost or changed a name
};

Comparison compare(const crash::Dump &before, const crash::Dump &after,
                   const std::set<std::uint64_t> &hit);

// For a block replaced by an older copy of itself: of the inodes in `affected` the first that is
// neither what it is `now` nor what it was `then`, in one line; empty if there is none.
std::string neither(const std::set<std::uint64_t> &affected, const crash::Dump &found,
                    const crash::Dump &now, const crash::Dump &then);

} // namespace daxpin::faults
