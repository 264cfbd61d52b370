// SPDX-License-Identifier: BSD-3-Clause
#include "base/size_text.h"

#include "support/catch.h"

namespace daxpin {

TEST_CASE("parse_size: knows binary and decimal units", "[size]") {
    CHECK(*parse_size("0") == 0);
    CHECK(*parse_size("4096") == 4096);
    CHECK(*parse_size("64M") == 64U << 20);
    CHECK(*parse_size("2MiB") == 2U << 20);
    CHECK(*parse_size("2mib") == 2U << 20);
    CHECK(*parse_size("1k") == 1024);
    CHECK(*parse_size("1KB") == 1000);
    CHECK(*parse_size("3G") == std::uint64_t{3} << 30);
    CHECK(*parse_size("7B") == 7);
    CHECK(*parse_size("15E") == std::uint64_t{15} << 60);
}

TEST_CASE("parse_size: refuses what is no size", "[size]") {
    for (const char *text : {"", "M", "-1", "1.5G", "64 M", "64X", "64MiBs", "0x10", "64Mi"}) {
        CAPTURE(text);
        CHECK(parse_size(text).code() == Errc::invalid);
    }
    CHECK(parse_size("16E").code() == Errc::overflow);
    CHECK(parse_size("99999999999999999999").code() == Errc::overflow);
}

TEST_CASE("size_text: prints the greatest binary unit", "[size]") {
    CHECK(size_text(0) == "0 bytes");
    CHECK(size_text(1) == "1 byte");
    CHECK(size_text(1023) == "1023 bytes");
    CHECK(size_text(1024) == "1 KiB");
    CHECK(size_text(64U << 20) == "64 MiB");
    CHECK(size_text(std::uint64_t{3} << 29) == "1.5 GiB");
    CHECK(size_text(~std::uint64_t{0}) == "16.0 EiB");
}

} // namespace daxpin
