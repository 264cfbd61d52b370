// SPDX-License-Identifier: BSD-3-Clause
//
// Pmem2Device: media mapped by libpmem2: device DAX, a file on a DAX filesystem, or an ordinary
// file. Owns the descriptor and the mapping. open.h finds and checks what is mapped here.
#pragma once

#include "base/unique_fd.h"
#include "device/device.h"
#include "device/dirty_pages.h"

#include <libpmem2.h>
#include <optional>

namespace daxpin::device {

struct Pmem2MapDelete {
    void operator()(pmem2_map *map) const { pmem2_map_delete(&map); }
};
using Pmem2Map = std::unique_ptr<pmem2_map, Pmem2MapDelete>;

class Pmem2Device final : public Device {
  public:
    // Maps `fd`, of which `info` says path, size, mapping unit, NUMA node and whether it is
    // read-only; the domain is asked of the platform, or taken from `domain`.
    // ERRORS: with a text: invalid if the medium cannot do `domain`; what libpmem2 says.
    static Result<std::unique_ptr<Device>> map(UniqueFd fd, DeviceInfo info,
                                               std::optional<Domain> domain);

    const DeviceInfo &info() const override { return info_; }
    std::span<const std::byte> view() const override { return {base_, info_.size}; }
    Result<void> read(std::uint64_t offset, std::span<std::byte> out) const override;
    Result<void> look_at(std::uint64_t offset, std::size_t length, LookAccess access,
                         const void *context) const override;
    Result<void> store8(std::uint64_t offset, std::uint64_t value) override;
    Result<void> copy(std::uint64_t offset, std::span<const std::byte> in, StoreKind kind) override;
    Result<void> patch(std::uint64_t offset, std::span<const std::byte, block_size> image,
                       std::span<const Part> parts) override;
    Result<void> set(std::uint64_t offset, std::byte value, std::uint64_t length,
                     StoreKind kind) override;
    void flush(std::uint64_t offset, std::uint64_t length) override;
    Result<void> drain() override;
    Result<void> deep_flush(std::uint64_t offset, std::uint64_t length) override;
    Result<UniqueFd> open_again(bool writable) const override;
    std::uint64_t present_bytes() const override;
    Result<void> rewrite(std::uint64_t offset, std::span<const std::byte> block) override;
    std::vector<ByteRange> known_bad() const override;

  private:
    Pmem2Device(UniqueFd fd, Pmem2Map map, DeviceInfo info);

    bool is_cpu_domain() const {
        return info_.domain == Domain::byte || info_.domain == Domain::cache_line;
    }
    std::byte *target(std::uint64_t offset, std::uint64_t length);
    Result<void> write_to_file(std::uint64_t offset, std::span<const std::byte> block);
    Result<void> map_again(std::uint64_t offset);
    Result<void> finish(bool stored, std::uint64_t offset, std::uint64_t length, StoreKind kind);

    UniqueFd fd_; // holds the in-use lock
    Pmem2Map map_;
    DeviceInfo info_;
    std::byte *base_;
    pmem2_memcpy_fn memcpy_;
    pmem2_memset_fn memset_;
    pmem2_flush_fn flush_;
    pmem2_drain_fn drain_;
    DirtyPages dirty_pages_; // domain page only
    std::atomic<bool> flush_failed_ = false;
};

} // namespace daxpin::device
