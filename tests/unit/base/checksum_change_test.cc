// SPDX-License-Identifier: BSD-3-Clause
#include "base/checksum_change.h"

#include "base/checksum.h"
#include "support/catch.h"

#include <array>
#include <random>

namespace daxpin {
namespace {

using Block = std::array<std::byte, checksum_block_lines * checksum_line_bytes>;

std::uint64_t differing_lines(const Block &was, const Block &is) {
    std::uint64_t lines = 0;
    for (std::size_t i = 0; i < was.size(); ++i)
        if (was[i] != is[i])
            lines |= std::uint64_t{1} << (i / checksum_line_bytes);
    return lines;
}

void check_change(const Block &was, const Block &is, std::uint64_t lines) {
    CHECK((crc32c(was) ^ crc32c_change(was.data(), is.data(), lines)) == crc32c(is));
}

} // namespace

TEST_CASE("crc32c_change: each bit of a block changes the checksum as the whole does",
          "[checksum]") {
    std::mt19937 random(1);
    Block was;
    for (auto &byte : was)
        byte = static_cast<std::byte>(random());
    Block is = was;
    for (std::size_t bit = 0; bit < 8 * was.size(); ++bit) {
        is[bit / 8] ^= std::byte{1} << (bit % 8);
        check_change(was, is, differing_lines(was, is));
        is[bit / 8] = was[bit / 8];
    }
}

TEST_CASE("crc32c_change: of any changes, and lines that are the same may be named", "[checksum]") {
    std::mt19937_64 random(2);
    for (int round = 0; round < 2000; ++round) {
        Block was;
        for (auto &byte : was)
            byte = static_cast<std::byte>(random());
        Block is = was;
        const auto changes = random() % 40;
        for (std::uint64_t i = 0; i < changes; ++i)
            is[random() % is.size()] = static_cast<std::byte>(random());
        check_change(was, is, differing_lines(was, is));
        check_change(was, is, differing_lines(was, is) | random());
        check_change(was, is, ~std::uint64_t{0});
    }
}

TEST_CASE("crc32c_change: what is the same changes nothing", "[checksum]") {
    const Block block{};
    CHECK(crc32c_change(block.data(), block.data(), 0) == 0);
    CHECK(crc32c_change(block.data(), block.data(), ~std::uint64_t{0}) == 0);
}

} // namespace daxpin
