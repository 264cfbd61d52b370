// SPDX-License-Identifier: BSD-3-Clause
//
// The mappings that the library made in this process, by address. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>

struct daxpin_map;

namespace daxpin::client {

void add_own_map(const daxpin_map &map);
void remove_own_map(const daxpin_map &map);

// What the mapping at this address needs (DAXPIN_GRANULARITY_*), if the library made it.
std::optional<unsigned> own_granularity(std::uint64_t address);

} // namespace daxpin::client
