// SPDX-License-Identifier: BSD-3-Clause
//
// Fixes of items, each a transaction.
#pragma once

#include "tools/fsck/fixes.h"
#include "tools/repair/engine.h"

namespace daxpin::repair {

// ERRORS of all: no_space, io, corrupt. What is not there any more is no error.
Result<void> fix(Engine &engine, const fsck::FixItems &fix);
Result<void> fix(Engine &engine, const fsck::FixRehash &fix);
Result<void> fix(Engine &engine, const fsck::FixRemoval &fix);
Result<void> fix(Engine &engine, const fsck::FixInode &fix);
Result<void> fix(Engine &engine, const fsck::FixEntryType &fix);
Result<void> fix(Engine &engine, const fsck::FixLost &fix); // lost_found.cc

} // namespace daxpin::repair
