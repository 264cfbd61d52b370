// SPDX-License-Identifier: BSD-3-Clause
#include "client/query.h"

#include "client/own_maps.h"
#include "client/smaps.h"
#include "client/text_file.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <daxpin/daxpin.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sstream>
#include <sys/stat.h>
#include <sys/vfs.h>

namespace daxpin::client {

namespace {

// What lies behind a mapping, and what of stores to it is durable when.
struct Backing {
    bool dax = false;     // the media itself is mapped
    bool durable = false; // a store needs no fsync to last, only what the domain asks for
    unsigned domain = DAXPIN_GRANULARITY_NONE;
};

Backing memory_of(const SystemPaths &paths, const char *kind, dev_t number, bool durable) {
    const auto region = memory_region(paths, kind, number);
    if (!region)
        return {true, true, DAXPIN_GRANULARITY_NONE}; // volatile memory
    return {true, durable, durable ? region_granularity(*region) : DAXPIN_GRANULARITY_PAGE};
}

// The mapped file itself, also when its name is gone or another's; else by its name, if that
// still leads to it.
std::string file_of(const std::string &process, const Vma &vma) {
    char range[64];
    std::snprintf(range, sizeof range, "/map_files/%llx-%llx",
                  static_cast<unsigned long long>(vma.start),
                  static_cast<unsigned long long>(vma.end));
    struct stat status {};
    if (stat((process + range).c_str(), &status) == 0)
        return process + range;
    auto named = process + "/root" + vma.path;
    if (stat(named.c_str(), &status) == 0 && status.st_ino == vma.inode)
        return named;
    return {};
}

bool is_volatile(const std::string &file) {
    struct statfs about {};
    if (statfs(file.c_str(), &about) != 0)
        return false;
    const auto type = static_cast<unsigned long>(about.f_type);
    return type == TMPFS_MAGIC || type == RAMFS_MAGIC || type == HUGETLBFS_MAGIC;
}

bool has_dax_attribute(const std::string &file) {
    struct statx about {};
    return statx(AT_FDCWD, file.c_str(), 0, STATX_BASIC_STATS, &about) == 0 &&
           (about.stx_attributes & STATX_ATTR_DAX) != 0;
}

Backing backing_of(const SystemPaths &paths, const std::string &process, const Vma &vma) {
    if (vma.inode == 0)
        return {};
    const auto file = file_of(process, vma);
    struct stat status {};
    if (!file.empty() && stat(file.c_str(), &status) == 0 && S_ISCHR(status.st_mode))
        return is_device_dax(paths, status.st_rdev) ? memory_of(paths, "char", status.st_rdev, true)
                                                    : Backing{};
    // MAP_SYNC is given to DAX mappings only, and makes their block maps durable before use.
    if (vma.synchronous || (!file.empty() && has_dax_attribute(file)))
        return memory_of(paths, "block", vma.device, vma.synchronous);
    if (!file.empty() && is_volatile(file))
        return {};
    return {false, false, DAXPIN_GRANULARITY_PAGE};
}

// Stores to a private mapping never reach the file.
MapInfo info_of(const Vma &vma, const Backing &backing) {
    MapInfo info;
    info.address = vma.start;
    info.length = vma.end - vma.start;
    info.file_offset = vma.inode != 0 ? vma.offset : 0;
    info.page_size = vma.page_size;
    info.path = vma.path;
    info.domain = vma.shared ? backing.domain : unsigned{DAXPIN_GRANULARITY_NONE};
    info.flags = (backing.dax ? DAXPIN_MAP_INFO_DAX : 0) |
                 (backing.durable && vma.shared ? DAXPIN_MAP_INFO_NO_FSYNC : 0) |
                 (vma.shared ? DAXPIN_MAP_INFO_SHARED : 0) |
                 (vma.writable ? DAXPIN_MAP_INFO_WRITABLE : 0);
    return info;
}

void clip(MapInfo &info, std::uint64_t start, std::uint64_t end) {
    const auto from = std::max(info.address, start);
    const auto to = std::min(info.address + info.length, end);
    if (!info.path.empty() && info.path.front() == '/')
        info.file_offset += from - info.address;
    info.address = from;
    info.length = to - from;
}

} // namespace

Result<std::vector<MapInfo>> query_process(const SystemPaths &paths, const std::string &pid,
                                           std::uint64_t start, std::uint64_t end) {
    const auto process = paths.proc + "/" + pid;
    // "self" is the first thread, which has no mappings any more if it has ended.
    auto text = read_text(paths.proc + "/" + (pid == "self" ? "thread-self" : pid) + "/smaps");
    if (!text && text.code() == Errc::not_found)
        return Error{Errc::not_found, "there is no process " + pid};
    DAXPIN_TRY(text);
    std::istringstream smaps(*std::move(text));
    std::vector<MapInfo> infos;
    for (const auto &vma : parse_smaps(smaps))
        if (vma.start < end && start < vma.end) {
            infos.push_back(info_of(vma, backing_of(paths, process, vma)));
            clip(infos.back(), start, end);
        }
    return infos;
}

Result<std::vector<MapInfo>> query_self(std::uint64_t start, std::uint64_t end) {
    DAXPIN_TRY_ASSIGN(auto infos, query_process({}, "self", start, end));
    for (auto &info : infos)
        if (const auto domain = own_granularity(info.address)) {
            info.domain = *domain;
            info.flags |= DAXPIN_MAP_INFO_LIBRARY;
            if (*domain != DAXPIN_GRANULARITY_PAGE)
                info.flags |= DAXPIN_MAP_INFO_NO_FSYNC;
        }
    return infos;
}

} // namespace daxpin::client
