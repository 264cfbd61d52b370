// SPDX-License-Identifier: BSD-3-Clause
//
// Token: names one crash state in a line of text that replays exactly it.
//
//   SEED/WORKLOAD/START/MOMENT/EVENT/STATE[/NESTED-EVENT/NESTED-STATE]
//
// MOMENT: L = after the store EVENT (STATE: bytes of it that were stored, 0 = all); B and A =
// before and after the drain EVENT; K = at the acknowledgement EVENT; R = a rule, no state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace daxpin::crash {

struct Token {
    std::uint64_t seed = 1;
    std::string workload = {};
    std::string start = {};
    char moment = 'L';
    std::uint64_t event = 0;
    std::uint64_t state = 0;
    struct Nested {
        std::uint64_t event = 0;
        std::uint64_t state = 0;
        bool operator==(const Nested &) const = default;
    };
    std::optional<Nested> nested = {};
    bool operator==(const Token &) const = default;
};

std::string to_string(const Token &token);
std::optional<Token> parse_token(const std::string &text);

} // namespace daxpin::crash
