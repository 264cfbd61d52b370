// SPDX-License-Identifier: BSD-3-Clause
#include "base/uuid.h"

#include "base/env.h"

#include <algorithm>
#include <uuid/uuid.h>

namespace daxpin {

Uuid make_uuid(Env &env) {
    Uuid uuid;
    env.random(uuid);
    uuid[6] = (uuid[6] & std::byte{0x0f}) | std::byte{0x40};
    uuid[8] = (uuid[8] & std::byte{0x3f}) | std::byte{0x80};
    return uuid;
}

std::optional<Uuid> parse_uuid(std::string_view text) {
    Uuid uuid;
    const std::string terminated(text);
    if (::uuid_parse(terminated.c_str(), reinterpret_cast<unsigned char *>(uuid.data())) != 0)
        return std::nullopt;
    return uuid;
}

std::string uuid_text(std::span<const std::byte, 16> uuid) {
    char text[UUID_STR_LEN];
    ::uuid_unparse_lower(reinterpret_cast<const unsigned char *>(uuid.data()), text);
    return text;
}

Uuid to_uuid(std::span<const std::byte, 16> bytes) {
    Uuid uuid;
    std::ranges::copy(bytes, uuid.begin());
    return uuid;
}

} // namespace daxpin
