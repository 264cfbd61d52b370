// SPDX-License-Identifier: BSD-3-Clause
#include "format/layout.h"

#include "support/catch.h"

#include <cstring>

namespace daxpin::format {
namespace {

template <typename T> std::string bytes_of(const T &value) {
    std::string bytes(sizeof(value), '\0');
    std::memcpy(bytes.data(), &value, sizeof(value));
    return bytes;
}

} // namespace

TEST_CASE("layout: integers lie on media with the low byte first", "[format]") {
    CHECK(bytes_of(le16(0x0102)) == "\x02\x01");
    CHECK(bytes_of(le32(0x01020304)) == "\x04\x03\x02\x01");
    CHECK(bytes_of(le64(0x0102030405060708)) == "\x08\x07\x06\x05\x04\x03\x02\x01");
    CHECK(le64(0xfedcba9876543210).get() == 0xfedcba9876543210);
    CHECK(le16(0xffff) == 0xffff);
}

TEST_CASE("layout: magic numbers spell their names in a hex dump", "[format]") {
    CHECK(bytes_of(le64(label_magic)) == "DXPINLB1");
    CHECK(bytes_of(le64(superblock_magic)) == "DXPINSB1");
    CHECK(bytes_of(le64(tail_cell_magic)) == "DXPINTC1");
    CHECK(bytes_of(le32(record_magic)) == "DXRC");
    CHECK(bytes_of(le32(bitmap_magic)) == "DBMP");
    CHECK(bytes_of(le16(node_magic)) == "TN");
}

TEST_CASE("layout: a media address keeps device and block apart", "[format]") {
    const auto last = (std::uint64_t{1} << 48) - 1;
    const MediaBlock block = MediaBlock::at(15, last);
    CHECK(block.device() == 15);
    CHECK(block.block() == last);
    CHECK(MediaBlock::at(1, 5) + BlockCount{2} == MediaBlock::at(1, 7));
}

} // namespace daxpin::format
