// SPDX-License-Identifier: BSD-3-Clause
//
// The C functions of <daxpin/daxpin.h>.
#include "client/error.h"
#include "client/map.h"

#include <cerrno>
#include <daxpin/daxpin.h>
#include <new>
#include <sys/ioctl.h>

using daxpin::Errc;
using daxpin::Error;
using daxpin::Result;
namespace client = daxpin::client;

namespace {

// The block map may move while it is being mapped, but not forever: each try holds a new lease.
constexpr int map_tries_max = 16;

Result<std::unique_ptr<daxpin_map>> create_map(int fd, std::uint64_t offset, std::size_t length,
                                               unsigned flags) {
    if ((flags & ~DAXPIN_MAP_PREPARE) != 0)
        return Error{Errc::invalid, "unknown flags"};
    for (int tries = 1;; ++tries) {
        auto map = daxpin_map::create(fd, offset, length, (flags & DAXPIN_MAP_PREPARE) != 0);
        if (map || map.code() != Errc::stale || tries == map_tries_max)
            return map;
    }
}

int result_of(const Result<void> &done) noexcept {
    return done ? 0 : client::report(done.error());
}

// Runs `body`, turning a failed allocation into an error like any other.
template <typename Body> int guarded(Body body) noexcept {
    try {
        return body();
    } catch (const std::bad_alloc &) {
        return client::report({Errc::out_of_memory, {}});
    }
}

int range_request(int fd, unsigned long command, const daxpin_range &range, const char *what) {
    auto argument = range;
    if (ioctl(fd, command, &argument) == 0)
        return 0;
    return client::report(client::system_error(what));
}

} // namespace

extern "C" {

int daxpin_map_new(daxpin_map **map, int fd, uint64_t offset, size_t length, unsigned flags) {
    return guarded([&] {
        auto created = create_map(fd, offset, length, flags);
        if (!created)
            return client::report(created.error());
        *map = created->release();
        return 0;
    });
}

int daxpin_map_delete(daxpin_map **map) {
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

int daxpin_flush(const daxpin_map *map, const void *address, size_t length) {
    return result_of(map->flush(address, length));
}

void daxpin_drain(const daxpin_map *map) {
    map->drain();
}

int daxpin_persist(const daxpin_map *map, const void *address, size_t length) {
    const int flushed = daxpin_flush(map, address, length);
    map->drain();
    return flushed;
}

int daxpin_memcpy_persist(const daxpin_map *map, void *destination, const void *source,
                          size_t length) {
    return result_of(map->copy(destination, source, length));
}

int daxpin_pin(int fd, uint64_t offset, uint64_t length, uint64_t align, unsigned flags) {
    daxpin_range range{};
    range.offset = offset;
    range.length = length;
    range.align = align;
    range.flags = flags;
    return guarded([&] { return range_request(fd, DAXPIN_IOC_PIN, range, "cannot pin"); });
}

int daxpin_unpin(int fd, uint64_t offset, uint64_t length) {
    daxpin_range range{};
    range.offset = offset;
    range.length = length;
    return guarded([&] { return range_request(fd, DAXPIN_IOC_UNPIN, range, "cannot unpin"); });
}

} // extern "C"
