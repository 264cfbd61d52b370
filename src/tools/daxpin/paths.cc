// SPDX-License-Identifier: BSD-3-Clause
#include "tools/daxpin/paths.h"

#include <ftw.h>
#include <sys/stat.h>

namespace daxpin::tool {

namespace {

// nftw() has no argument for its caller's data.
thread_local PathsByInode *wanted_paths;

int note_path(const char *path, const struct stat *status, int, FTW *) {
    const auto found = wanted_paths->find(status->st_ino);
    if (found != wanted_paths->end())
        found->second.emplace_back(path);
    return 0;
}

} // namespace

void find_paths(const std::string &mount_point, PathsByInode &paths) {
    constexpr int directories_open_max = 32;
    if (paths.empty())
        return;
    wanted_paths = &paths;
    nftw(mount_point.c_str(), note_path, directories_open_max, FTW_PHYS | FTW_MOUNT);
    wanted_paths = nullptr;
}

std::string names_of(const PathsByInode &paths, std::uint64_t inode) {
    const auto found = paths.find(inode);
    if (found == paths.end() || found->second.empty())
        return "inode " + std::to_string(inode);
    std::string text;
    for (const auto &path : found->second)
        text += (text.empty() ? "" : " = ") + path;
    return text;
}

} // namespace daxpin::tool
