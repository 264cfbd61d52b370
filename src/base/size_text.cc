// SPDX-License-Identifier: BSD-3-Clause
#include "base/size_text.h"

#include <cctype>
#include <charconv>
#include <fmt/format.h>
#include <optional>

namespace daxpin {
namespace {

constexpr std::string_view unit_letters = "KMGTPE";

std::uint64_t power(std::uint64_t base, std::size_t exponent) {
    std::uint64_t value = 1;
    while (exponent-- > 0)
        value *= base; // 1024^6 is 2^60
    return value;
}

// The factor that a unit stands for; nothing if it is none.
std::optional<std::uint64_t> unit_factor(std::string_view unit) {
    if (unit.empty() || unit == "B" || unit == "b")
        return 1;
    const auto letter = static_cast<char>(std::toupper(static_cast<unsigned char>(unit[0])));
    const auto exponent = unit_letters.find(letter);
    if (exponent == std::string_view::npos)
        return std::nullopt;
    std::string rest;
    for (const char c : unit.substr(1))
        rest += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    if (rest.empty() || rest == "IB")
        return power(1024, exponent + 1);
    if (rest == "B")
        return power(1000, exponent + 1);
    return std::nullopt;
}

} // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
    std::uint64_t number = 0;
    const auto [rest, error] = std::from_chars(text.begin(), text.end(), number);
    if (error == std::errc::result_out_of_range)
        return Error{Errc::overflow, fmt::format("size '{}' is too large", text)};
    const auto factor = unit_factor(text.substr(static_cast<std::size_t>(rest - text.begin())));
    if (error != std::errc{} || !factor)
        return Error{Errc::invalid,
                     fmt::format("'{}' is not a size: write a number and K, M, G or T", text)};
    std::uint64_t bytes = 0;
    if (__builtin_mul_overflow(number, *factor, &bytes))
        return Error{Errc::overflow, fmt::format("size '{}' is too large", text)};
    return bytes;
}

std::string size_text(std::uint64_t bytes) {
    if (bytes < 1024)
        return fmt::format("{} byte{}", bytes, bytes == 1 ? "" : "s");
    std::size_t unit = 0;
    std::uint64_t factor = 1024;
    while (unit + 1 < unit_letters.size() && bytes / factor >= 1024) {
        factor *= 1024;
        ++unit;
    }
    if (bytes % factor == 0)
        return fmt::format("{} {}iB", bytes / factor, unit_letters[unit]);
    return fmt::format("{:.1f} {}iB", static_cast<double>(bytes) / static_cast<double>(factor),
                       unit_letters[unit]);
}

} // namespace daxpin
