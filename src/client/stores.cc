// SPDX-License-Identifier: BSD-3-Clause
#include "client/stores.h"

#include "base/types.h"
#include "client/error.h"
#include "client/process.h"

#include <array>
#include <cstdint>
#include <sys/mman.h>

namespace daxpin::client {

namespace {

constexpr std::size_t granularity_count = 5; // DAXPIN_GRANULARITY_*, from 1

constinit std::array<Stores, granularity_count> made GUARDED_BY(process_mutex);

// NONE needs as little as BYTE: nothing survives anyhow.
pmem2_granularity to_pmem2(unsigned granularity) {
    switch (granularity) {
    case DAXPIN_GRANULARITY_NONE:
    case DAXPIN_GRANULARITY_BYTE:
        return PMEM2_GRANULARITY_BYTE;
    case DAXPIN_GRANULARITY_CACHE_LINE:
        return PMEM2_GRANULARITY_CACHE_LINE;
    default:
        return PMEM2_GRANULARITY_PAGE;
    }
}

// libpmem2 gives its functions for a mapping only; a page that nobody uses stands for all of one
// granularity. Deleting it would take libpmem2's lock, which fork() does not know.
Result<pmem2_map *> map_page(unsigned granularity) {
    void *page =
        mmap(nullptr, block_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return system_error("cannot map a page");
    pmem2_source *source = nullptr;
    pmem2_map *map = nullptr;
    if (pmem2_source_from_anon(&source, block_size) == 0) {
        const int failed =
            pmem2_map_from_existing(&map, source, page, block_size, to_pmem2(granularity));
        pmem2_source_delete(&source);
        if (failed == 0)
            return map;
    }
    munmap(page, block_size);
    return Error{Errc::out_of_memory, pmem2_errormsg()};
}

// NONE is the least, then the numbers' own order.
unsigned rank(unsigned granularity) {
    return granularity == DAXPIN_GRANULARITY_NONE ? 0 : granularity;
}

} // namespace

Result<const Stores *> stores_for(unsigned granularity) {
    const ProcessLock lock;
    Stores &stores =
        made.at(granularity < granularity_count ? granularity : DAXPIN_GRANULARITY_PAGE);
    if (stores.drain != nullptr)
        return &stores;
    DAXPIN_TRY_ASSIGN(pmem2_map *const map, map_page(granularity));
    stores = {granularity,
              pmem2_get_flush_fn(map),
              pmem2_get_drain_fn(map),
              pmem2_get_memcpy_fn(map),
              pmem2_get_memset_fn(map),
              pmem2_get_memmove_fn(map)};
    return &stores;
}

unsigned stricter(unsigned a, unsigned b) {
    return rank(a) < rank(b) ? b : a;
}

Result<void> Stores::flush(const void *address, std::size_t length) const {
    if (!is_page()) {
        flush_lines(address, length);
        return {};
    }
    const Uncancelled all_of_it;
    // libpmem2's flush returns nothing; msync's failure must be told.
    const auto start = reinterpret_cast<std::uintptr_t>(address);
    const auto page = start / block_size * block_size;
    if (msync(reinterpret_cast<void *>(page), start - page + length, MS_SYNC) != 0)
        return system_error("cannot write the range back");
    return {};
}

} // namespace daxpin::client
