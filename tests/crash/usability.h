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

// Deletes everything and finishes the deletions. Returns what went wrong.
std::string delete_everything(volume::Volume &volume, const Dump &dump);

// After delete_everything() and an unmount: mounts as of another boot, finishes what is left and
// returns the free blocks. ERRORS: as Volume::open().
Result<std::uint64_t> free_blocks_after_boot(const MediaList &media, test::TestEnv &env);

} // namespace daxpin::crash
