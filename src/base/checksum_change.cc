// SPDX-License-Identifier: BSD-3-Clause
#include "base/checksum_change.h"

#include "base/checksum.h"

#include <array>
#include <bit>
#include <cstring>
#include <span>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace daxpin {

namespace {

#if defined(__x86_64__)

// Polynomials modulo CRC-32C's, as its register holds them: the top bit is x^0.
constexpr std::uint32_t polynomial = 0x82f63b78;

constexpr std::uint32_t times_x(std::uint32_t value) {
    return (value >> 1) ^ ((value & 1) != 0 ? polynomial : 0);
}

constexpr std::uint32_t divided_by_x(std::uint32_t value) {
    const bool wrapped = (value >> 31) != 0;
    return ((wrapped ? value ^ polynomial : value) << 1) | (wrapped ? 1 : 0);
}

// By line: what its checksum is multiplied with to stand in its place, x^(bits behind it - 33). The
// product of two reflected values comes out as one of 64 bits and times x; the instruction for
// CRC-32C, which reduces it, adds x^32.
constexpr auto line_factors = [] {
    std::array<std::uint32_t, checksum_block_lines> factors{};
    std::uint32_t factor = std::uint32_t{1} << 31;
    for (int i = 0; i < 33; ++i)
        factor = divided_by_x(factor);
    for (std::size_t line = checksum_block_lines; line-- > 0;) {
        factors[line] = factor;
        for (std::size_t bit = 0; bit < 8 * checksum_line_bytes; ++bit)
            factor = times_x(factor);
    }
    return factors;
}();

__attribute__((target("sse4.2"))) std::uint64_t line_change(const std::byte *was,
                                                            const std::byte *is) noexcept {
    std::uint64_t state = 0;
    for (std::size_t at = 0; at < checksum_line_bytes; at += sizeof(std::uint64_t)) {
        std::uint64_t old_word, new_word;
        std::memcpy(&old_word, was + at, sizeof old_word);
        std::memcpy(&new_word, is + at, sizeof new_word);
        state = _mm_crc32_u64(state, old_word ^ new_word);
    }
    return state;
}

__attribute__((target("sse4.2,pclmul"))) std::uint32_t
change_by_instructions(const std::byte *was, const std::byte *is, std::uint64_t lines) noexcept {
    __m128i sum = _mm_setzero_si128();
    for (; lines != 0; lines &= lines - 1) {
        const auto line = static_cast<std::size_t>(std::countr_zero(lines));
        const auto change =
            line_change(was + line * checksum_line_bytes, is + line * checksum_line_bytes);
        const auto product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<long long>(change)),
                                                  _mm_cvtsi64_si128(line_factors[line]), 0);
        sum = _mm_xor_si128(sum, product);
    }
    return static_cast<std::uint32_t>(
        _mm_crc32_u64(0, static_cast<std::uint64_t>(_mm_cvtsi128_si64(sum))));
}

#endif

} // namespace

std::uint32_t crc32c_change(const std::byte *was, const std::byte *is,
                            std::uint64_t lines) noexcept {
#if defined(__x86_64__)
    static const bool has_instructions =
        __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
    if (has_instructions) [[likely]]
        return change_by_instructions(was, is, lines);
#else
    static_cast<void>(lines);
#endif
    constexpr std::size_t block_bytes = checksum_block_lines * checksum_line_bytes;
    return crc32c({was, block_bytes}) ^ crc32c({is, block_bytes});
}

} // namespace daxpin
