// SPDX-License-Identifier: BSD-3-Clause
//
// Sizes in bytes as people write and read them.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace daxpin {

// The bytes that `text` names: digits and an optional unit. K, M, G, T, P, E and KiB .. EiB are
// powers of 1024, KB .. EB powers of 1000 (as in the GNU core utilities); case is ignored.
// ERRORS: invalid, with a text, for anything else; overflow for more than 2^64 - 1.
Result<std::uint64_t> parse_size(std::string_view text);

// "64 MiB", "1.5 GiB", "100 bytes": the greatest binary unit, one decimal where it is not whole.
std::string size_text(std::uint64_t bytes);

} // namespace daxpin
