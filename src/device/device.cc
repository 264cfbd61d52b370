// SPDX-License-Identifier: BSD-3-Clause
#include "device/device.h"

namespace daxpin::device {

const char *to_string(Domain domain) noexcept {
    switch (domain) {
    case Domain::byte:
        return "byte";
    case Domain::cache_line:
        return "cache_line";
    case Domain::page:
        return "page";
    case Domain::none:
        return "none";
    }
    return "unknown";
}

std::optional<Domain> parse_domain(std::string_view text) noexcept {
    for (const Domain domain : {Domain::byte, Domain::cache_line, Domain::page, Domain::none})
        if (text == to_string(domain))
            return domain;
    return std::nullopt;
}

} // namespace daxpin::device
