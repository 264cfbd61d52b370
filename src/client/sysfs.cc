// SPDX-License-Identifier: BSD-3-Clause
#include "client/sysfs.h"

#include "client/text_file.h"

#include <daxpin/ioctl.h>
#include <filesystem>
#include <sys/sysmacros.h>

namespace daxpin::client {

namespace {

namespace fs = std::filesystem;

std::string device_folder(const SystemPaths &paths, const char *kind, dev_t number) {
    return paths.sys + "/dev/" + kind + "/" + std::to_string(major(number)) + ":" +
           std::to_string(minor(number));
}

bool is_region(const std::string &name) {
    return name.starts_with("region") &&
           name.find_first_not_of("0123456789", 6) == std::string::npos && name.size() > 6;
}

} // namespace

bool is_device_dax(const SystemPaths &paths, dev_t number) {
    std::error_code error;
    const auto link = fs::read_symlink(device_folder(paths, "char", number) + "/subsystem", error);
    return link.filename() == "dax";
}

std::optional<std::string> memory_region(const SystemPaths &paths, const char *kind, dev_t number) {
    std::error_code error;
    auto folder = fs::canonical(device_folder(paths, kind, number), error);
    if (error)
        return std::nullopt;
    for (; folder.has_relative_path(); folder = folder.parent_path())
        if (is_region(folder.filename()) &&
            folder.parent_path().filename().string().starts_with("ndbus"))
            return folder.string();
    return std::nullopt;
}

// As libpmem2: flushes can be left out only where the platform says so.
unsigned region_granularity(const std::string &region) {
    const auto domain = read_text(region + "/persistence_domain");
    return domain && *domain == "cpu_cache\n" ? DAXPIN_GRANULARITY_BYTE
                                              : DAXPIN_GRANULARITY_CACHE_LINE;
}

} // namespace daxpin::client
