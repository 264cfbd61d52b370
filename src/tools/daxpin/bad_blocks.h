// SPDX-License-Identifier: BSD-3-Clause
//
// The bad blocks of a volume, with the names of the files that they hit.
#pragma once

#include "base/result.h"
#include "tools/daxpin/paths.h"

#include <daxpin/ioctl.h>
#include <string>
#include <vector>

namespace daxpin::tool {

struct BadBlocks {
    std::vector<daxpin_bad_block> blocks;
    PathsByInode paths;
};

// How many bad blocks the volume has that `path` is on.
Result<std::uint64_t> count_bad_blocks(const std::string &path);

// All of them. Looks for names below `mount_point` if any file is hit.
Result<BadBlocks> find_bad_blocks(const std::string &mount_point);

} // namespace daxpin::tool
