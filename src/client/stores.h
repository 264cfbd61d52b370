// SPDX-License-Identifier: BSD-3-Clause
//
// Stores: how stores to memory of one granularity are made and made durable, by libpmem2's
// functions for it. One per granularity and process; never freed.
#pragma once

#include "base/result.h"

#include <cstddef>
#include <daxpin/ioctl.h>
#include <libpmem2.h>

namespace daxpin::client {

struct Stores {
    unsigned granularity = DAXPIN_GRANULARITY_NONE;
    pmem2_flush_fn flush_lines = nullptr;
    pmem2_drain_fn drain = nullptr;
    pmem2_memcpy_fn copy = nullptr;
    pmem2_memset_fn set = nullptr;
    pmem2_memmove_fn move = nullptr;

    // Whether durability takes work by cache lines at all.
    bool has_dirty_lines() const { return granularity == DAXPIN_GRANULARITY_CACHE_LINE; }
    bool is_page() const { return granularity == DAXPIN_GRANULARITY_PAGE; }
    // Starts writing a range back. ERRORS: io, of a medium that is an ordinary file.
    Result<void> flush(const void *address, std::size_t length) const;
};

// ERRORS: out_of_memory.
Result<const Stores *> stores_for(unsigned granularity);

// The granularity that a mapping over two devices needs; NONE and BYTE need no flush.
unsigned stricter(unsigned a, unsigned b);

} // namespace daxpin::client
