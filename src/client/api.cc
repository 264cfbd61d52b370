// SPDX-License-Identifier: BSD-3-Clause
//
// The C functions of <daxpin/daxpin.h>.
#include "client/error.h"
#include "client/map.h"
#include "client/process.h"
#include "client/query.h"

#include <algorithm>
#include <cstddef>
#include <daxpin/daxpin.h>
#include <libpmem2.h>
#include <new>
#include <utility>

using daxpin::Errc;
using daxpin::Error;
using daxpin::Result;
namespace client = daxpin::client;

namespace {

// The block map may move while it is being mapped, but not forever: each try holds a new lease.
constexpr int map_tries_max = 16;

Result<void> check_flags(unsigned flags, unsigned known) {
    if ((flags & ~known) != 0)
        return Error{Errc::invalid, "unknown flags"};
    return {};
}

int result_of(const Result<void> &done) noexcept {
    return done ? 0 : client::report(done.error());
}

// Runs `body`, turning a failed allocation into an error like any other.
template <typename Body> int guarded(Body body) noexcept {
    try {
        return result_of(body());
    } catch (const std::bad_alloc &) {
        return client::report({Errc::out_of_memory, {}});
    }
}

// The same of what makes system calls. Stores that need none do without: it takes nanoseconds.
template <typename Body> int uncancelled(Body body) noexcept {
    const client::Uncancelled all_of_it;
    return guarded(std::move(body));
}

// Runs `body` again while the block map changes under it.
template <typename Body> auto settled(Body body) {
    for (int tries = 1;; ++tries) {
        auto done = body();
        if (done || done.code() != Errc::stale || tries == map_tries_max)
            return done;
    }
}

// Callers have arrays of them: another size would break all programs that were built before.
static_assert(sizeof(daxpin_map_info) == 4168 && offsetof(daxpin_map_info, path) == 72);

daxpin_map_info public_info(const client::MapInfo &info) {
    daxpin_map_info out{};
    out.address = info.address;
    out.length = info.length;
    out.file_offset = info.file_offset;
    out.page_size = info.page_size;
    out.flags = info.flags;
    out.domain = info.domain;
    info.path.copy(out.path, sizeof out.path - 1);
    return out;
}

constexpr unsigned store_flags =
    DAXPIN_F_NODRAIN | DAXPIN_F_NONTEMPORAL | DAXPIN_F_TEMPORAL | DAXPIN_F_NOFLUSH;
static_assert(DAXPIN_F_NODRAIN == PMEM2_F_MEM_NODRAIN);
static_assert(DAXPIN_F_NONTEMPORAL == PMEM2_F_MEM_NONTEMPORAL);
static_assert(DAXPIN_F_TEMPORAL == PMEM2_F_MEM_TEMPORAL);
static_assert(DAXPIN_F_NOFLUSH == PMEM2_F_MEM_NOFLUSH);

} // namespace

extern "C" {

int daxpin_map_new(daxpin_map **map, int fd, uint64_t offset, size_t length, unsigned flags) {
    return daxpin_map_new_reserved(map, fd, offset, length, 0, flags);
}

int daxpin_map_new_reserved(daxpin_map **map, int fd, uint64_t offset, size_t length,
                            size_t reserve, unsigned flags) {
    return uncancelled([&]() -> Result<void> {
        DAXPIN_TRY(check_flags(flags, DAXPIN_MAP_PREPARE));
        const daxpin_map::Request request{offset, length, reserve,
                                          (flags & DAXPIN_MAP_PREPARE) != 0};
        DAXPIN_TRY_ASSIGN(auto made, settled([&] { return daxpin_map::create(fd, request); }));
        *map = made.release();
        return {};
    });
}

int daxpin_map_extend(daxpin_map *map, int fd, size_t length, unsigned flags) {
    return uncancelled([&]() -> Result<void> {
        DAXPIN_TRY(check_flags(flags, DAXPIN_MAP_PREPARE));
        return settled([&] { return map->extend(fd, length, (flags & DAXPIN_MAP_PREPARE) != 0); });
    });
}

int daxpin_map_delete(daxpin_map **map) {
    const client::Uncancelled all_of_it;
    delete *map;
    *map = nullptr;
    return 0;
}

void *daxpin_map_get_address(const daxpin_map *map) {
    return map->address();
}

size_t daxpin_map_get_size(const daxpin_map *map) {
    return map->size();
}

unsigned daxpin_map_get_granularity(const daxpin_map *map) {
    return map->stores().granularity;
}

int daxpin_map_check(const daxpin_map *map, int fd) {
    return uncancelled([&] { return map->check(fd); });
}

int daxpin_flush(const daxpin_map *map, const void *address, size_t length) {
    return guarded([&] { return map->flush(address, length); });
}

void daxpin_drain(const daxpin_map *map) {
    map->stores().drain();
}

int daxpin_persist(const daxpin_map *map, const void *address, size_t length) {
    const int flushed = daxpin_flush(map, address, length);
    map->stores().drain();
    return flushed;
}

int daxpin_deep_flush(const daxpin_map *map, const void *address, size_t length) {
    return uncancelled([&] { return map->deep_flush(address, length); });
}

int daxpin_memcpy(const daxpin_map *map, void *destination, const void *source, size_t length,
                  unsigned flags) {
    return guarded([&]() -> Result<void> {
        DAXPIN_TRY(check_flags(flags, store_flags));
        return map->copy(destination, source, length, flags);
    });
}

int daxpin_memcpy_persist(const daxpin_map *map, void *destination, const void *source,
                          size_t length) {
    return daxpin_memcpy(map, destination, source, length, 0);
}

int daxpin_memmove(const daxpin_map *map, void *destination, const void *source, size_t length,
                   unsigned flags) {
    return guarded([&]() -> Result<void> {
        DAXPIN_TRY(check_flags(flags, store_flags));
        return map->move(destination, source, length, flags);
    });
}

int daxpin_memmove_persist(const daxpin_map *map, void *destination, const void *source,
                           size_t length) {
    return daxpin_memmove(map, destination, source, length, 0);
}

int daxpin_memset(const daxpin_map *map, void *destination, int value, size_t length,
                  unsigned flags) {
    return guarded([&]() -> Result<void> {
        DAXPIN_TRY(check_flags(flags, store_flags));
        return map->set(destination, value, length, flags);
    });
}

int daxpin_memset_persist(const daxpin_map *map, void *destination, int value, size_t length) {
    return daxpin_memset(map, destination, value, length, 0);
}

int daxpin_dirty_track(daxpin_map *map, unsigned mode) {
    return uncancelled([&] { return map->track(mode); });
}

int daxpin_dirty_mark(const daxpin_map *map, const void *address, size_t length) {
    return guarded([&] { return map->mark(address, length); });
}

int daxpin_sync(const daxpin_map *map, size_t offset, size_t length) {
    return uncancelled([&] { return map->sync(offset, length); });
}

int daxpin_query(const void *address, size_t length, struct daxpin_map_info *infos, size_t *count) {
    return uncancelled([&]() -> Result<void> {
        const std::uint64_t start = reinterpret_cast<std::uintptr_t>(address);
        const auto end = start + length < start ? UINT64_MAX : start + length;
        DAXPIN_TRY_ASSIGN(const auto found, client::query_self(start, end));
        const auto room = std::exchange(*count, found.size());
        for (std::size_t i = 0; i < std::min(room, found.size()); ++i)
            infos[i] = public_info(found[i]);
        if (room < found.size())
            return Error{Errc::range, "there are more mappings than room for them"};
        return {};
    });
}

int daxpin_pin(int fd, uint64_t offset, uint64_t length, uint64_t align, unsigned flags) {
    daxpin_range range{};
    range.offset = offset;
    range.length = length;
    range.align = align;
    range.flags = flags;
    return uncancelled([&] { return client::request(fd, DAXPIN_IOC_PIN, &range, "cannot pin"); });
}

int daxpin_unpin(int fd, uint64_t offset, uint64_t length) {
    daxpin_range range{};
    range.offset = offset;
    range.length = length;
    return uncancelled(
        [&] { return client::request(fd, DAXPIN_IOC_UNPIN, &range, "cannot unpin"); });
}

int daxpin_extend(int fd, uint64_t length) {
    daxpin_extension extension{};
    extension.length = length;
    return uncancelled([&]() -> Result<void> {
        DAXPIN_TRY(client::request(fd, DAXPIN_IOC_EXTEND, &extension, "cannot extend"));
        client::let_kernel_see_size(fd);
        return {};
    });
}

int daxpin_status(int fd, daxpin_file_status *status) {
    *status = {};
    return uncancelled([&] {
        return client::request(fd, DAXPIN_IOC_STATUS, status, "cannot read the pin status");
    });
}

} // extern "C"
