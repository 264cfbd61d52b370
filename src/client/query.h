// SPDX-License-Identifier: BSD-3-Clause
//
// What maps an address: of any mapping of any process that the caller may look at.
#pragma once

#include "base/result.h"
#include "client/sysfs.h"

#include <cstdint>
#include <string>
#include <vector>

namespace daxpin::client {

// One mapping, clipped to what was asked for. The fields are those of struct daxpin_map_info in
// <daxpin/daxpin.h>.
struct MapInfo {
    std::uint64_t address = 0;
    std::uint64_t length = 0;
    std::uint64_t file_offset = 0;
    std::uint64_t page_size = 0;
    unsigned flags = 0;
    unsigned domain = 0;
    std::string path;
};

// The mappings of process `pid` ("self" too) that touch [start, end), in ascending order.
// ERRORS: not_found if there is no such process, access if it may not be looked at.
Result<std::vector<MapInfo>> query_process(const SystemPaths &paths, const std::string &pid,
                                           std::uint64_t start, std::uint64_t end);

// The same of this process, with what the library knows of its own mappings.
Result<std::vector<MapInfo>> query_self(std::uint64_t start, std::uint64_t end);

} // namespace daxpin::client
