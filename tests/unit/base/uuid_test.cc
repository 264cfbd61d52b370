// SPDX-License-Identifier: BSD-3-Clause
#include "base/uuid.h"

#include "base/env.h"
#include "support/catch.h"

namespace daxpin {

TEST_CASE("uuid: text and bytes are in the same order", "[uuid]") {
    const auto uuid = parse_uuid("00112233-4455-6677-8899-AABBccddeeff");
    REQUIRE(uuid);
    CHECK((*uuid)[0] == std::byte{0x00});
    CHECK((*uuid)[15] == std::byte{0xff});
    CHECK(uuid_text(*uuid) == "00112233-4455-6677-8899-aabbccddeeff");
}

TEST_CASE("uuid: other text is none", "[uuid]") {
    CHECK_FALSE(parse_uuid(""));
    CHECK_FALSE(parse_uuid("00112233-4455-6677-8899-aabbccddeef"));
    CHECK_FALSE(parse_uuid("00112233-4455-6677-8899-aabbccddeefg"));
    CHECK_FALSE(parse_uuid("00112233445566778899aabbccddeeff"));
}

TEST_CASE("uuid: a new one is random and of version 4", "[uuid]") {
    const Uuid first = make_uuid(system_env());
    CHECK(first != make_uuid(system_env()));
    const std::string text = uuid_text(first);
    CHECK(text[14] == '4');
    CHECK(std::string("89ab").find(text[19]) != std::string::npos);
}

} // namespace daxpin
