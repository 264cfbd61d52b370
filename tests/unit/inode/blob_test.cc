// SPDX-License-Identifier: BSD-3-Clause
#include "inode/blob.h"

#include "support/catch.h"
#include "support/engine_fixture.h"

using namespace daxpin;
using namespace daxpin::inode;
using test::EngineFixture;

namespace {

Bytes content_of(std::size_t length, std::uint64_t seed = 1) {
    Bytes bytes(length);
    for (std::byte &byte : bytes)
        byte = static_cast<std::byte>(test::split_mix(seed));
    return bytes;
}

Result<Bytes> encode(EngineFixture &engine, std::string_view name, const Bytes &content) {
    return engine.transact([&](auto &tx) { return encode_blob(tx, name, content); });
}

// The blocks whose addresses end the item.
std::vector<MediaBlock> blocks_of(const Bytes &value) {
    format::BlobItem item;
    std::memcpy(&item, value.data(), sizeof item);
    std::vector<MediaBlock> blocks;
    for (unsigned i = item.block_count; i > 0; --i) {
        le64 address;
        std::memcpy(&address, value.data() + value.size() - i * sizeof address, sizeof address);
        blocks.push_back({address});
    }
    return blocks;
}

void overwrite(Bytes &value, std::size_t offset, const auto &object) {
    std::memcpy(value.data() + offset, &object, sizeof object);
}

} // namespace

TEST_CASE("blob: content of every size comes back, also after a reopen", "[inode]") {
    const std::size_t length = GENERATE(0U, 1U, 1023U, 1024U, 1025U, 4095U, 4096U, 4097U, 65536U);
    const std::string name = GENERATE("", "user.seven", "exactly8");
    CAPTURE(length, name);
    EngineFixture engine;
    const Bytes content = content_of(length);
    const Bytes value = encode(engine, name, content).value();
    REQUIRE(value.size() <= btree::value_bytes_max);
    REQUIRE(blob_name(value).value() == name);
    REQUIRE(decode_blob(engine.devices(), value).value() == content);
    const std::size_t blocks = length <= format::blob_inline_max ? 0 : (length + 4095) / 4096;
    REQUIRE(blocks_of(value).size() == blocks);
    engine.reopen();
    REQUIRE(decode_blob(engine.devices(), value).value() == content);
}

TEST_CASE("blob: more than 64 KiB is refused", "[inode]") {
    EngineFixture engine;
    const auto before = engine.allocator().space().free_blocks;
    REQUIRE(encode(engine, "", content_of(65537)).code() == Errc::too_big);
    REQUIRE(engine.allocator().space().free_blocks == before);
}

TEST_CASE("blob: freeing gives every block back", "[inode]") {
    EngineFixture engine;
    const auto before = engine.allocator().space().free_blocks;
    const Bytes value = encode(engine, "name", content_of(65536)).value();
    REQUIRE(engine.allocator().space().free_blocks == before - 16);
    REQUIRE(engine.transact([&](auto &tx) { return free_blob(tx, value); }));
    REQUIRE(engine.allocator().space().free_blocks == before);
}

TEST_CASE("blob: a transaction that is dropped keeps no block", "[inode]") {
    EngineFixture engine;
    const auto before = engine.allocator().space().free_blocks;
    {
        alloc::Transaction tx(engine.allocator());
        REQUIRE(encode_blob(tx, "", content_of(65536)));
    }
    REQUIRE(engine.allocator().space().free_blocks == before);
    REQUIRE(engine.allocator().space().available_blocks > 0);
}

TEST_CASE("blob: a flipped bit of the content is detected", "[inode]") {
    EngineFixture engine;
    const std::size_t length = GENERATE(1U, 1024U, 1025U, 8192U, 65536U);
    const std::size_t where = GENERATE(0U, 1U, 2U); // start, middle, end
    CAPTURE(length, where);
    const std::size_t offset = where == 2 ? length - 1 : length / 2 * where;
    Bytes value = encode(engine, "name", content_of(length)).value();
    const auto blocks = blocks_of(value);
    std::byte &victim =
        blocks.empty()
            ? value[value.size() - length + offset]
            : engine.media()
                  .bytes()[blocks[offset / block_size].block() * block_size + offset % block_size];
    victim ^= std::byte{4};
    REQUIRE(decode_blob(engine.devices(), value).code() == Errc::corrupt);
    victim ^= std::byte{4};
    REQUIRE(decode_blob(engine.devices(), value));
}

TEST_CASE("blob: a poisoned block is an error, not a crash", "[inode]") {
    EngineFixture engine;
    const Bytes value = encode(engine, "", content_of(8192)).value();
    engine.media().poison(blocks_of(value)[1].block() * block_size, block_size);
    REQUIRE(decode_blob(engine.devices(), value).code() == Errc::corrupt);
}

TEST_CASE("blob: impossible items are corrupt and nothing is freed for them", "[inode]") {
    EngineFixture engine;
    const std::size_t length = GENERATE(100U, 8192U);
    CAPTURE(length);
    Bytes value = encode(engine, "name", content_of(length)).value();
    const auto before = engine.allocator().space().free_blocks;
    format::BlobItem item;
    std::memcpy(&item, value.data(), sizeof item);

    SECTION("shorter than its header") {
        value.resize(sizeof item - 1);
    }
    SECTION("a byte missing") {
        value.pop_back();
    }
    SECTION("a byte too many") {
        value.push_back({});
    }
    SECTION("a name longer than the item") {
        item.name_length = 200;
        overwrite(value, 0, item);
    }
    SECTION("another length") {
        item.length = 9000;
        overwrite(value, 0, item);
    }
    SECTION("a length beyond all") {
        item.length = UINT32_MAX;
        overwrite(value, 0, item);
    }
    SECTION("another number of blocks") {
        item.block_count = static_cast<std::uint16_t>(item.block_count + 1);
        overwrite(value, 0, item);
    }
    REQUIRE(decode_blob(engine.devices(), value).code() == Errc::corrupt);
    REQUIRE(engine.transact([&](auto &tx) { return free_blob(tx, value); }).code() ==
            Errc::corrupt);
    REQUIRE(engine.allocator().space().free_blocks == before);
}

TEST_CASE("blob: an address outside the metadata device is corrupt", "[inode]") {
    EngineFixture engine({.data_devices = 1});
    Bytes value = encode(engine, "", content_of(8192)).value();
    const std::uint64_t end = engine.superblock().devices[0].block_count;
    const MediaBlock address =
        GENERATE_COPY(MediaBlock::at(0, 0), MediaBlock::at(0, end), MediaBlock::at(1, 5),
                      MediaBlock::at(7, 5), MediaBlock{UINT64_MAX});
    CAPTURE(address.value);
    overwrite(value, value.size() - sizeof(le64), le64(address.value));
    REQUIRE(decode_blob(engine.devices(), value).code() == Errc::corrupt);
    REQUIRE(engine.transact([&](auto &tx) { return free_blob(tx, value); }).code() ==
            Errc::corrupt);
}
