// SPDX-License-Identifier: BSD-3-Clause
//
// A file to map, on a filesystem that is played by the test, and what maps it.
#pragma once

#include "base/unique_fd.h"
#include "support/catch.h"
#include "unit/client/fake_filesystem.h"

#include <cstring>
#include <daxpin/daxpin.h>
#include <fcntl.h>
#include <memory>

namespace daxpin::test {

inline constexpr std::uint64_t mib = 1 << 20;

struct Delete {
    void operator()(daxpin_map *map) const { daxpin_map_delete(&map); }
};
using MapPointer = std::unique_ptr<daxpin_map, Delete>;

inline MapPointer map(int fd, std::uint64_t offset = 0, std::size_t length = 0,
                      std::size_t reserve = 0) {
    daxpin_map *made = nullptr;
    INFO(daxpin_errormsg());
    REQUIRE(daxpin_map_new_reserved(&made, fd, offset, length, reserve, 0) == 0);
    return MapPointer(made);
}

inline char *bytes(const MapPointer &map) {
    return static_cast<char *>(daxpin_map_get_address(map.get()));
}

inline bool said(const char *text) {
    return std::strstr(daxpin_errormsg(), text) != nullptr;
}

// A file of four MiB, its halves the wrong way round on one device.
struct Fixture {
    explicit Fixture(unsigned granularity = DAXPIN_GRANULARITY_CACHE_LINE) : fs(4 * mib) {
        const unsigned device = fs.add_device(16 * mib, granularity);
        fs.add_extent(device, 8 * mib, 2 * mib);
        fs.add_extent(device, 4 * mib, 2 * mib);
    }
    FakeFilesystem fs;
    UniqueFd fd{fs.open_file(O_RDWR)};
    UniqueFd reader{fs.open_file(O_RDONLY)};
};

} // namespace daxpin::test
