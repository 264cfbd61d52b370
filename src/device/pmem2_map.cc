// SPDX-License-Identifier: BSD-3-Clause
#include "device/pmem2_map.h"

#include <cstdlib>
#include <fmt/format.h>
#include <linux/magic.h>
#include <mutex>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

namespace daxpin::device {
namespace {

constexpr const char *force_variable = "PMEM2_FORCE_GRANULARITY"; // libpmem2(7)

struct SourceDelete {
    void operator()(pmem2_source *source) const { pmem2_source_delete(&source); }
};
struct ConfigDelete {
    void operator()(pmem2_config *config) const { pmem2_config_delete(&config); }
};

const char *granularity_name(Domain domain) {
    switch (domain) {
    case Domain::byte:
        return "BYTE";
    case Domain::cache_line:
        return "CACHE_LINE";
    case Domain::page:
    case Domain::none:
        return "PAGE";
    }
    return "PAGE";
}

// Sets the variable while one mapping is made; libpmem2 has no other way to be told.
class ForcedGranularity {
  public:
    explicit ForcedGranularity(std::optional<Domain> domain) : active_(domain.has_value()) {
        if (const char *value = std::getenv(force_variable); value && active_)
            saved_ = value;
        if (active_)
            ::setenv(force_variable, granularity_name(*domain), 1);
    }
    ~ForcedGranularity() {
        if (active_ && saved_)
            ::setenv(force_variable, saved_->c_str(), 1);
        else if (active_)
            ::unsetenv(force_variable);
    }
    ForcedGranularity(const ForcedGranularity &) = delete;
    ForcedGranularity &operator=(const ForcedGranularity &) = delete;

  private:
    bool active_;
    std::optional<std::string> saved_;
};

bool is_character_device(int fd) {
    struct stat status;
    return ::fstat(fd, &status) == 0 && S_ISCHR(status.st_mode);
}

// A device's node lies on devtmpfs, which says nothing of the device.
bool is_volatile_file(int fd) {
    struct statfs status;
    if (is_character_device(fd) || ::fstatfs(fd, &status) != 0)
        return false;
    const auto magic = static_cast<unsigned long>(status.f_type);
    return magic == TMPFS_MAGIC || magic == RAMFS_MAGIC || magic == HUGETLBFS_MAGIC;
}

Domain to_domain(pmem2_granularity granularity) {
    switch (granularity) {
    case PMEM2_GRANULARITY_BYTE:
        return Domain::byte;
    case PMEM2_GRANULARITY_CACHE_LINE:
        return Domain::cache_line;
    case PMEM2_GRANULARITY_PAGE:
        return Domain::page;
    }
    return Domain::page;
}

Error map_error(const DeviceInfo &info, int code) {
    const Errc errc = code < 0 ? from_errno(-code) : Errc::invalid;
    return {errc, fmt::format("{}: cannot be mapped: {}", info.path, pmem2_errormsg())};
}

Result<Pmem2Map> map_through_libpmem2(int fd, const DeviceInfo &info,
                                      std::optional<Domain> domain) {
    pmem2_source *source = nullptr;
    if (const int code = pmem2_source_from_fd(&source, fd); code != 0)
        return map_error(info, code);
    const std::unique_ptr<pmem2_source, SourceDelete> source_owner(source);
    pmem2_config *config = nullptr;
    if (const int code = pmem2_config_new(&config); code != 0)
        return map_error(info, code);
    const std::unique_ptr<pmem2_config, ConfigDelete> config_owner(config);

    const unsigned protection =
        info.read_only ? PMEM2_PROT_READ : PMEM2_PROT_READ | PMEM2_PROT_WRITE;
    int code = pmem2_config_set_required_store_granularity(config, PMEM2_GRANULARITY_PAGE);
    if (code == 0)
        code = pmem2_config_set_length(config, info.size);
    if (code == 0)
        code = pmem2_config_set_protection(config, protection);
    pmem2_map *map = nullptr;
    if (code == 0) {
        static std::mutex environment_mutex;
        const std::lock_guard lock(environment_mutex);
        const ForcedGranularity forced(domain);
        code = pmem2_map_new(&map, config, source);
    }
    if (code != 0)
        return map_error(info, code);
    return Pmem2Map(map);
}

} // namespace

Result<Pmem2Map> map_whole(int fd, DeviceInfo &info, std::optional<Domain> domain) {
    if (domain == Domain::page && is_character_device(fd))
        return Error{Errc::invalid,
                     fmt::format("{}: device DAX has no page cache to write back: domain=page "
                                 "is not possible, leave the option out",
                                 info.path)};
    DAXPIN_TRY_ASSIGN(Pmem2Map map, map_through_libpmem2(fd, info, domain));
    info.domain_assumed = domain.has_value() || std::getenv(force_variable) != nullptr;
    if (domain)
        info.domain = *domain;
    else if (!info.domain_assumed && is_volatile_file(fd))
        info.domain = Domain::none;
    else
        info.domain = to_domain(pmem2_map_get_store_granularity(map.get()));
    // A core file of the daemon would else hold the whole device. Refused by no kernel we know,
    // and harmless if it were.
    ::madvise(pmem2_map_get_address(map.get()), info.size, MADV_DONTDUMP);
    return map;
}

} // namespace daxpin::device
