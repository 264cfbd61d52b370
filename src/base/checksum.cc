// SPDX-License-Identifier: BSD-3-Clause
#include "base/checksum.h"

#include <algorithm>
#include <cstring>
#include <isa-l/crc.h>
#include <sodium/crypto_shorthash.h>

namespace daxpin {

static_assert(crypto_shorthash_KEYBYTES == sizeof(HashKey));
static_assert(crypto_shorthash_BYTES == sizeof(std::uint64_t));

std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t seed) noexcept {
    // ISA-L works on the register itself: the standard's complement on entry and exit is ours.
    // Its length is an int, and its buffer is not const although it only reads.
    constexpr std::size_t piece_max = std::size_t{1} << 30;
    std::uint32_t state = ~seed;
    while (!data.empty()) {
        const std::size_t piece = std::min(data.size(), piece_max);
        auto *bytes =
            const_cast<unsigned char *>(reinterpret_cast<const unsigned char *>(data.data()));
        state = crc32_iscsi(bytes, static_cast<int>(piece), state);
        data = data.subspan(piece);
    }
    return ~state;
}

std::uint64_t keyed_hash(const HashKey &key, std::span<const std::byte> data) noexcept {
    unsigned char out[crypto_shorthash_BYTES];
    crypto_shorthash(out, reinterpret_cast<const unsigned char *>(data.data()), data.size(),
                     reinterpret_cast<const unsigned char *>(key.data()));
    std::uint64_t value = 0;
    for (unsigned i = 0; i < sizeof(out); ++i)
        value |= std::uint64_t{out[i]} << (8 * i);
    return value;
}

} // namespace daxpin
