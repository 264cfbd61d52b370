// SPDX-License-Identifier: BSD-3-Clause
//
// What a block's CRC-32C becomes when parts of it change, from what changes alone.
//
// CRC is linear: the checksums of two blocks differ by what their difference makes. So a line that
// is the same in both takes no time. Bytes that went bad unnoticed stay noticeable, too, also where
// they are written over: a checksum of the whole block would vouch for what it finds.
#pragma once

#include <cstddef>
#include <cstdint>

namespace daxpin {

constexpr std::size_t checksum_line_bytes = 64;
constexpr std::size_t checksum_block_lines = 64;

// crc32c(is) ^ crc32c(was) of two blocks of 4096 bytes. REQUIRES: they differ only in lines (of 64
// bytes) whose bits are set in `lines`, bit 0 for the first.
std::uint32_t crc32c_change(const std::byte *was, const std::byte *is,
                            std::uint64_t lines) noexcept;

} // namespace daxpin
