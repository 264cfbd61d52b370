// SPDX-License-Identifier: BSD-3-Clause
//
// UUIDs as 16 bytes in the order of their text (RFC 4122), and that text.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace daxpin {

class Env;

using Uuid = std::array<std::byte, 16>;

// A new random UUID (version 4) from `env`.
Uuid make_uuid(Env &env);

// The UUID that `text` (36 characters) spells, or nothing.
std::optional<Uuid> parse_uuid(std::string_view text);

// Lower-case text, 36 characters.
std::string uuid_text(std::span<const std::byte, 16> uuid);

// The 16 bytes of a field on media as a value that compares.
Uuid to_uuid(std::span<const std::byte, 16> bytes);

} // namespace daxpin
