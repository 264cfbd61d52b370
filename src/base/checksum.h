// SPDX-License-Identifier: BSD-3-Clause
//
// Checksums: CRC-32C (Castagnoli, as in iSCSI, RFC 3720) for content, SipHash-2-4 (64 bits) where
// a secret key must keep others from forging or predicting the value.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace daxpin {

using HashKey = std::array<std::byte, 16>;

// CRC-32C of `data`; `seed` is the value of the bytes before it, 0 at the start.
std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t seed = 0) noexcept;

// SipHash-2-4 of `data` under `key`.
std::uint64_t keyed_hash(const HashKey &key, std::span<const std::byte> data) noexcept;

} // namespace daxpin
