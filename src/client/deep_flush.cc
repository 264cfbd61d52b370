// SPDX-License-Identifier: BSD-3-Clause
#include "client/deep_flush.h"

#include "base/types.h"
#include "base/unique_fd.h"
#include "client/error.h"
#include "client/sysfs.h"

#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
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

Result<void> deep_flush(const daxpin_device &device, std::byte *address, std::size_t length) {
    struct stat status;
    if (stat(device.path, &status) != 0)
        return system_error(std::string("cannot look at the device ") + device.path);
    if (S_ISCHR(status.st_mode)) {
        const auto region = memory_region({}, "char", status.st_rdev);
        return region ? flush_region(*region) : Result<void>();
    }
    const auto misfit = reinterpret_cast<std::uintptr_t>(address) % block_size;
    if (msync(address - misfit, length + misfit, MS_SYNC) != 0)
        return system_error("cannot write the range back");
    return {};
}

} // namespace daxpin::client
