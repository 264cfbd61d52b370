// SPDX-License-Identifier: BSD-3-Clause
//
// daxpin_map: one contiguous mapping of a leased file's extents, and how its stores are made
// durable: by libpmem2's functions for the strictest device under it.
#pragma once

#include "client/address_range.h"
#include "client/file.h"

#include <libpmem2.h>
#include <memory>

struct daxpin_map {
    // Maps once; ERRORS: stale if the file's map changed meanwhile (try again).
    static daxpin::Result<std::unique_ptr<daxpin_map>> create(int fd, std::uint64_t offset,
                                                              std::uint64_t length, bool prepare);
    daxpin_map() = default;
    ~daxpin_map();
    daxpin_map(const daxpin_map &) = delete;
    daxpin_map &operator=(const daxpin_map &) = delete;

    daxpin::Result<void> flush(const void *address, std::size_t length) const;
    void drain() const { drain_fn_(); }
    daxpin::Result<void> copy(void *destination, const void *source, std::size_t length) const;
    std::byte *address() const { return range_.address(); }
    std::size_t size() const { return size_; }

  private:
    daxpin::Result<void> map_extents(const daxpin::client::LeasedFile &file);
    daxpin::Result<void> choose_functions();

    daxpin::client::AddressRange range_;
    daxpin::client::AddressRange anchor_;
    std::size_t size_ = 0;                           // bytes asked for; the range is whole blocks
    unsigned granularity_ = DAXPIN_GRANULARITY_BYTE; // the strictest of the devices
    pmem2_map *functions_ = nullptr;
    pmem2_flush_fn flush_fn_ = nullptr;
    pmem2_drain_fn drain_fn_ = nullptr;
    pmem2_memcpy_fn memcpy_fn_ = nullptr;
};
