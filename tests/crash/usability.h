// SPDX-License-Identifier: BSD-3-Clause
//
// What a volume must still be able to do after a recovery: make, fill, rename and delete in
// every directory, and give back all its space when everything is deleted.
#pragma once

#include "crash/dump.h"
#include "crash/session.h"

namespace daxpin::crash {

// Makes, writes, renames and deletes a file in each directory of `dump`; grows each file and
// looks for zeros there. Returns what went wrong; no_space is no fault where a block is needed.
std::string try_every_directory(volume::Volume &volume, const Dump &dump);

// The names part of that by several threads at once, scheduled by the seed.
std::string use_with_threads(volume::Volume &volume, const Dump &dump, unsigned threads,
                             std::uint64_t seed);

// Deletes everything and finishes the deletions. Returns what went wrong.
std::string delete_everything(volume::Volume &volume, const Dump &dump);

// Runs background steps until there is nothing left to do. Returns what went wrong.
std::string finish(volume::Volume &volume);

// Whether the session's volume, which has run for a while, can allocate as much as one that is
// mounted anew from the same media: no free block is forgotten in memory, or thought free.
// Closes the session's files. Returns what went wrong.
std::string check_room(Session &session);

// What an emptied volume consists of.
struct Space {
    std::uint64_t free_blocks = 0;
    std::uint64_t tree_nodes = 0;
};

// After delete_everything() and an unmount: mounts as of another boot, finishes what is left,
// unmounts. ERRORS: as Volume::open(); corrupt if fsck finds anything.
Result<Space> space_after_boot(const MediaList &media, test::TestEnv &env);

// Says how the space of an emptied volume differs from that of a run that never crashed. A tree
// keeps a sparse node or not depending on the order of deletions, so nodes count as free space,
// but there may be no more than a few.
std::string difference(const Space &found, const Space &expected);

} // namespace daxpin::crash
