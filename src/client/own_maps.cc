// SPDX-License-Identifier: BSD-3-Clause
#include "client/own_maps.h"

#include "client/map.h"
#include "client/process.h"

#include <map>

namespace daxpin::client {

namespace {

using Table = std::map<std::uint64_t, const daxpin_map *>;

// Never freed, as the table of leases.
Table &table() REQUIRES(process_mutex) {
    static auto *const maps = new Table;
    return *maps;
}

std::uint64_t start_of(const daxpin_map &map) {
    return reinterpret_cast<std::uintptr_t>(map.address());
}

} // namespace

void add_own_map(const daxpin_map &map) {
    const ProcessLock lock;
    table()[start_of(map)] = &map;
}

void remove_own_map(const daxpin_map &map) {
    const ProcessLock lock;
    table().erase(start_of(map));
}

std::optional<unsigned> own_granularity(std::uint64_t address) {
    const ProcessLock lock;
    auto next = table().upper_bound(address);
    if (next == table().begin())
        return std::nullopt;
    const auto &map = *std::prev(next)->second;
    if (address - start_of(map) >= map.size())
        return std::nullopt;
    return map.stores().granularity;
}

} // namespace daxpin::client
