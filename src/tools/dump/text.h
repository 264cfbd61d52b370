// SPDX-License-Identifier: BSD-3-Clause
//
// How values of the format are written.
#pragma once

#include "format/layout.h"

#include <span>
#include <string>

namespace daxpin::dump {

std::string hex_text(std::span<const std::byte> bytes);
std::string hex_text(std::uint64_t value);         // 0x...
std::string block_text(std::uint64_t media_block); // "0:17"
std::string role_text(std::uint32_t role);
std::string time_text(std::uint64_t ns);   // ISO 8601, UTC, nanoseconds
std::string mode_text(std::uint32_t mode); // "0100644 regular file"
std::string type_text(unsigned dirent_type);
std::string flags_text(std::uint32_t inode_flags); // "immutable pinned-whole" or "-"
std::string bad_source_text(std::uint32_t source);
std::string item_type_text(unsigned type);
std::string label_text(const char (&text)[format::label_text_max]);

// The beginning of an item's value as a structure of the format, zeros where it is short.
template <typename T> T load(std::span<const std::byte> value) {
    T object{};
    std::memcpy(&object, value.data(), std::min(sizeof object, value.size()));
    return object;
}

} // namespace daxpin::dump
