// SPDX-License-Identifier: BSD-3-Clause
#include "client/deep_flush.h"

#include "base/types.h"
#include "base/unique_fd.h"
#include "client/error.h"

#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace daxpin::client {

namespace {

Result<void> flush_region(const std::string &region) {
    const auto path = region + "/deep_flush";
    const UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file)
        return errno == ENOENT ? Result<void>() : system_error("cannot open " + path);
    if (write(file.get(), "1", 1) != 1)
        return system_error("cannot write to " + path);
    return {};
}

} // namespace

Result<void> deep_flush(const daxpin_device &device, std::byte *address, std::size_t length,
                        const SystemPaths &paths) {
    // Not by the path: it may lead elsewhere here, or nowhere, where the broker opened the device.
    if (device.number != 0) {
        const auto number = makedev(device.number >> 20, device.number & 0xfffff);
        const auto region = memory_region(paths, "char", number);
        return region ? flush_region(*region) : Result<void>();
    }
    const auto misfit = reinterpret_cast<std::uintptr_t>(address) % block_size;
    if (msync(address - misfit, length + misfit, MS_SYNC) != 0)
        return system_error("cannot write the range back");
    return {};
}

} // namespace daxpin::client
