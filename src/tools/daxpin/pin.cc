// SPDX-License-Identifier: BSD-3-Clause
//
// daxpin pin, unpin.
#include "base/size_text.h"
#include "tools/daxpin/commands.h"
#include "tools/daxpin/file.h"
#include "tools/daxpin/prepare_progress.h"

#include <cstdio>
#include <unistd.h>

namespace daxpin::tool {

namespace {

daxpin_range to_range(const RangeOptions &options) {
    daxpin_range range{};
    range.offset = options.offset;
    range.length = options.length;
    return range;
}

// What people do not expect of a pin is said once.
void explain(const std::vector<daxpin_device> &devices) {
    std::fprintf(stderr, "note: while a file is pinned, programs that map it shared through the "
                         "mount get ENODEV (LMDB, SQLite's -shm, RocksDB with mmap reads); map it "
                         "with libdaxpin\n");
    for (const auto &device : devices)
        if ((device.flags & DAXPIN_DEVICE_DATA) != 0 && device.mapping_unit > 4096)
            std::fprintf(stderr, "note: %s maps units of %s: a pinned file takes at least one\n",
                         device.path, size_text(device.mapping_unit).c_str());
}

} // namespace

Result<void> pin(const std::string &path, const RangeOptions &options) {
    DAXPIN_TRY_ASSIGN(const auto fd, open_file(path, true));
    DAXPIN_TRY_ASSIGN(const auto devices, devices_of(path));
    {
        const PrepareProgress progress(path, options.prepare && !options.quiet && isatty(2) == 1);
        DAXPIN_TRY(pin(path, fd.get(), options));
    }
    if (!options.quiet)
        explain(devices);
    return {};
}

Result<void> pin(const std::string &path, int fd, const RangeOptions &options) {
    auto range = to_range(options);
    range.align = options.align;
    range.flags = options.prepare ? DAXPIN_PREPARE : 0;
    return request(path, fd, DAXPIN_IOC_PIN, &range);
}

Result<void> unpin(const std::string &path, const RangeOptions &options) {
    DAXPIN_TRY_ASSIGN(const auto fd, open_file(path, true));
    auto range = to_range(options);
    return request(path, fd.get(), DAXPIN_IOC_UNPIN, &range);
}

} // namespace daxpin::tool
