// SPDX-License-Identifier: BSD-3-Clause
#include "client/map.h"

#include "base/types.h"
#include "client/error.h"

#include <cstring>
#include <fcntl.h>
#include <map>
#include <sys/mman.h>

using daxpin::Errc;
using daxpin::Error;
using daxpin::Result;
using daxpin::UniqueFd;
namespace client = daxpin::client;

namespace {

struct OpenDevice {
    daxpin_device about{};
    UniqueFd fd;
};

Result<OpenDevice> open_device(const client::LeasedFile &file, unsigned index) {
    OpenDevice device;
    DAXPIN_TRY_ASSIGN(device.about, client::device_of(file, index));
    device.fd = UniqueFd(open(device.about.path, (file.writable ? O_RDWR : O_RDONLY) | O_CLOEXEC));
    if (!device.fd)
        return client::system_error(std::string("cannot open the device ") + device.about.path);
    return device;
}

// NONE needs as little as BYTE: nothing survives anyhow.
unsigned strictness(unsigned granularity) {
    return granularity == DAXPIN_GRANULARITY_NONE ? DAXPIN_GRANULARITY_BYTE : granularity;
}

pmem2_granularity to_pmem2(unsigned granularity) {
    switch (granularity) {
    case DAXPIN_GRANULARITY_BYTE:
        return PMEM2_GRANULARITY_BYTE;
    case DAXPIN_GRANULARITY_CACHE_LINE:
        return PMEM2_GRANULARITY_CACHE_LINE;
    default:
        return PMEM2_GRANULARITY_PAGE;
    }
}

} // namespace

daxpin_map::~daxpin_map() {
    // The device mappings go before the anchor, which ends the lease.
    if (functions_ != nullptr)
        pmem2_map_delete(&functions_);
    range_ = {};
}

Result<std::unique_ptr<daxpin_map>> daxpin_map::create(int fd, std::uint64_t offset,
                                                       std::uint64_t length, bool prepare) {
    auto map = std::make_unique<daxpin_map>();
    DAXPIN_TRY_ASSIGN(const auto file, client::lease_file(fd, offset, length, prepare));
    map->size_ = length == 0 ? file.length : length;
    DAXPIN_TRY_ASSIGN(map->anchor_, client::AddressRange::anchor(file.fd.get(), offset));
    DAXPIN_TRY_ASSIGN(map->range_, client::AddressRange::reserve(file.length));
    DAXPIN_TRY(map->map_extents(file));
    DAXPIN_TRY(client::check_generation(file)); // between the extents and the mapping
    DAXPIN_TRY(map->choose_functions());
    return map;
}

Result<void> daxpin_map::map_extents(const client::LeasedFile &file) {
    DAXPIN_TRY_ASSIGN(const auto extents, client::leased_extents(file));
    std::map<unsigned, OpenDevice> devices;
    for (const auto &extent : extents) {
        auto found = devices.find(extent.device);
        if (found == devices.end()) {
            DAXPIN_TRY_ASSIGN(auto device, open_device(file, extent.device));
            found = devices.emplace(extent.device, std::move(device)).first;
        }
        const auto &about = found->second.about;
        // Some kernels map a misaligned offset to the wrong place without a word.
        if (extent.device_offset % about.mapping_unit != 0)
            return Error{Errc::invalid, "an extent is not aligned to the device's mapping unit: "
                                        "pin the file with PREPARE first"};
        granularity_ = std::max(granularity_, strictness(about.granularity));
        DAXPIN_TRY(range_.map({.at = extent.file_offset - file.offset,
                               .length = extent.length,
                               .fd = found->second.fd.get(),
                               .offset = extent.device_offset,
                               .writable = file.writable,
                               .synchronous = about.granularity == DAXPIN_GRANULARITY_BYTE ||
                                              about.granularity == DAXPIN_GRANULARITY_CACHE_LINE}));
    }
    return {};
}

Result<void> daxpin_map::choose_functions() {
    pmem2_source *source = nullptr;
    if (pmem2_source_from_anon(&source, range_.length()) != 0)
        return Error{Errc::out_of_memory, pmem2_errormsg()};
    const int made = pmem2_map_from_existing(&functions_, source, range_.address(), range_.length(),
                                             to_pmem2(granularity_));
    pmem2_source_delete(&source);
    if (made != 0)
        return Error{Errc::out_of_memory, pmem2_errormsg()};
    flush_fn_ = pmem2_get_flush_fn(functions_);
    drain_fn_ = pmem2_get_drain_fn(functions_);
    memcpy_fn_ = pmem2_get_memcpy_fn(functions_);
    return {};
}

Result<void> daxpin_map::flush(const void *address, std::size_t length) const {
    if (granularity_ != DAXPIN_GRANULARITY_PAGE) {
        flush_fn_(address, length);
        return {};
    }
    // libpmem2's flush returns nothing; msync's failure must be told.
    const auto start = reinterpret_cast<std::uintptr_t>(address);
    const auto page = start / daxpin::block_size * daxpin::block_size;
    if (msync(reinterpret_cast<void *>(page), start - page + length, MS_SYNC) != 0)
        return client::system_error("cannot write the range back");
    return {};
}

Result<void> daxpin_map::copy(void *destination, const void *source, std::size_t length) const {
    if (granularity_ == DAXPIN_GRANULARITY_PAGE) {
        std::memcpy(destination, source, length);
        return flush(destination, length);
    }
    memcpy_fn_(destination, source, length, 0); // flushed and drained
    return {};
}
