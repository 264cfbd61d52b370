// SPDX-License-Identifier: BSD-3-Clause
#include "crash/token.h"

#include <charconv>
#include <vector>

namespace daxpin::crash {

std::string to_string(const Token &token) {
    std::string text = std::to_string(token.seed) + "/" + token.workload + "/" + token.start + "/" +
                       token.moment + "/" + std::to_string(token.event) + "/" +
                       std::to_string(token.state);
    if (token.nested)
        text +=
            "/" + std::to_string(token.nested->event) + "/" + std::to_string(token.nested->state);
    return text;
}

namespace {

bool parse_number(const std::string &text, std::uint64_t &number) {
    const auto end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, number);
    return parsed.ec == std::errc() && parsed.ptr == end;
}

} // namespace

std::optional<Token> parse_token(const std::string &text) {
    std::vector<std::string> parts;
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find('/', begin), text.size());
        parts.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    if ((parts.size() != 6 && parts.size() != 8) || parts[3].size() != 1)
        return {};
    Token token;
    token.workload = parts[1];
    token.start = parts[2];
    token.moment = parts[3][0];
    if (!parse_number(parts[0], token.seed) || !parse_number(parts[4], token.event) ||
        !parse_number(parts[5], token.state))
        return {};
    if (parts.size() == 6)
        return token;
    token.nested = Token::Nested{};
    if (!parse_number(parts[6], token.nested->event) ||
        !parse_number(parts[7], token.nested->state))
        return {};
    return token;
}

} // namespace daxpin::crash
