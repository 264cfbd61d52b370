// SPDX-License-Identifier: BSD-3-Clause
#include "base/checksum.h"

#include "support/catch.h"

#include <numeric>
#include <string_view>
#include <vector>

namespace daxpin {
namespace {

std::span<const std::byte> bytes(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

std::vector<std::byte> counting(std::size_t length) {
    std::vector<std::byte> data(length);
    for (std::size_t i = 0; i < length; ++i)
        data[i] = static_cast<std::byte>(i);
    return data;
}

} // namespace

TEST_CASE("crc32c: gives the published values", "[checksum]") {
    CHECK(crc32c(bytes("123456789")) == 0xe3069283U);
    CHECK(crc32c({}) == 0);
    // RFC 3720, appendix B.4
    CHECK(crc32c(std::vector<std::byte>(32, std::byte{0x00})) == 0x8a9136aaU);
    CHECK(crc32c(std::vector<std::byte>(32, std::byte{0xff})) == 0x62a8ab43U);
    CHECK(crc32c(counting(32)) == 0x46dd794eU);
}

TEST_CASE("crc32c: goes on from the value of the bytes before", "[checksum]") {
    const auto data = counting(300);
    const std::uint32_t whole = crc32c(data);
    for (std::size_t cut = 0; cut <= data.size(); ++cut) {
        const std::span<const std::byte> all(data);
        CHECK(crc32c(all.subspan(cut), crc32c(all.first(cut))) == whole);
    }
}

TEST_CASE("crc32c: sees every flipped bit", "[checksum]") {
    auto data = counting(64);
    const std::uint32_t good = crc32c(data);
    for (std::size_t bit = 0; bit < data.size() * 8; ++bit) {
        data[bit / 8] ^= std::byte{1} << (bit % 8);
        CHECK(crc32c(data) != good);
        data[bit / 8] ^= std::byte{1} << (bit % 8);
    }
}

TEST_CASE("keyed_hash: gives SipHash-2-4's published values", "[checksum]") {
    // "SipHash: a fast short-input PRF", appendix A, and the reference code's vectors
    HashKey key;
    for (std::size_t i = 0; i < key.size(); ++i)
        key[i] = static_cast<std::byte>(i);
    CHECK(keyed_hash(key, {}) == 0x726fdb47dd0e0e31U);
    CHECK(keyed_hash(key, counting(1)) == 0x74f839c593dc67fdU);
    CHECK(keyed_hash(key, counting(15)) == 0xa129ca6149be45e5U);
    key[0] ^= std::byte{1};
    CHECK(keyed_hash(key, counting(15)) != 0xa129ca6149be45e5U);
}

} // namespace daxpin
