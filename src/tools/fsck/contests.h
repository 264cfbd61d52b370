// SPDX-License-Identifier: BSD-3-Clause
//
// Blocks with two owners: who keeps them.
#pragma once

#include "tools/fsck/pass.h"

namespace daxpin::fsck {

// Fixes that leave each contested block to one owner: to metadata, which was verified, before any
// data; then to a pinned extent, to a written one, to one that reads as zeros; among equals to the
// lower inode number. The others are cut: there is a hole then. REQUIRES: the tree was walked.
void settle_contests(Pass &pass);

} // namespace daxpin::fsck
