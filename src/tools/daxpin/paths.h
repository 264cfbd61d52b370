// SPDX-License-Identifier: BSD-3-Clause
//
// Names of inodes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace daxpin::tool {

using PathsByInode = std::map<std::uint64_t, std::vector<std::string>>; // all hard links

// Finds the names below `mount_point` of the inodes that are keys of `paths`; what the caller may
// not look into stays unnamed.
void find_paths(const std::string &mount_point, PathsByInode &paths);

// "PATH = PATH", or the inode's number if it has no name.
std::string names_of(const PathsByInode &paths, std::uint64_t inode);

} // namespace daxpin::tool
