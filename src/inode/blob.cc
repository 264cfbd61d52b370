// SPDX-License-Identifier: BSD-3-Clause
#include "inode/blob.h"

#include "base/assert.h"
#include "base/checksum.h"

#include <algorithm>

namespace daxpin::inode {

namespace {

using format::BlobItem;

constexpr std::size_t name_bytes_max = 255;

constexpr std::size_t blocks_for(std::size_t length) {
    return length <= format::blob_inline_max ? 0 : (length + block_size - 1) / block_size;
}

constexpr std::size_t padded(std::size_t name_length) {
    return (name_length + 7) / 8 * 8;
}

static_assert(sizeof(BlobItem) + name_bytes_max + format::blob_inline_max <=
              btree::value_bytes_max);
static_assert(sizeof(BlobItem) + padded(name_bytes_max) + blocks_for(format::blob_bytes_max) * 8 <=
              btree::value_bytes_max);

// The parts of a blob item that were found to fit together.
struct Parsed {
    BlobItem item;
    std::string_view name;
    std::span<const std::byte> rest; // inline content, or addresses

    MediaBlock block(std::size_t i) const {
        le64 address;
        std::memcpy(&address, rest.data() + i * sizeof address, sizeof address);
        return {address};
    }
};

Result<Parsed> parse(std::span<const std::byte> value) {
    Parsed parsed;
    if (value.size() < sizeof parsed.item)
        return Errc::corrupt;
    std::memcpy(&parsed.item, value.data(), sizeof parsed.item);
    const std::size_t name_length = parsed.item.name_length;
    const std::size_t blocks = parsed.item.block_count;
    if (name_length > name_bytes_max || parsed.item.length > format::blob_bytes_max ||
        blocks != blocks_for(parsed.item.length))
        return Errc::corrupt;
    const std::size_t name_end = sizeof parsed.item + (blocks ? padded(name_length) : name_length);
    const std::size_t rest = blocks ? blocks * sizeof(le64) : std::size_t{parsed.item.length};
    if (value.size() != name_end + rest)
        return Errc::corrupt;
    parsed.name = {reinterpret_cast<const char *>(value.data() + sizeof parsed.item), name_length};
    parsed.rest = value.subspan(name_end);
    return parsed;
}

Error damaged(const Parsed &parsed, const std::string &how) {
    const std::string what = parsed.name.empty() ? "the target of a symbolic link"
                                                 : "the value of an extended attribute";
    if (parsed.item.block_count == 0)
        return {Errc::corrupt, what + " " + how};
    return {Errc::corrupt,
            what + " in block " + std::to_string(parsed.block(0).block()) + " " + how};
}

// Blob blocks are metadata: on device 0, and never its first block, which holds the label.
Result<void> check_blocks(const device::DeviceTable &devices, const Parsed &parsed) {
    for (std::size_t i = 0; i < parsed.item.block_count; ++i) {
        const MediaBlock block = parsed.block(i);
        if (block.device() != 0 || block.block() == 0 || !devices.contains({block, {1}}))
            return Errc::corrupt;
    }
    return {};
}

Result<std::vector<MediaBlock>> store_content(btree::Tree::Transaction &tx,
                                              std::span<const std::byte> content) {
    const auto &devices = tx.units().journal().devices();
    std::vector<MediaBlock> blocks;
    tx.units().stores_data();
    while (!content.empty()) {
        DAXPIN_TRY_ASSIGN(const auto block, tx.allocate_unit());
        const auto part = content.first(std::min<std::size_t>(content.size(), block_size));
        DAXPIN_TRY(devices.copy(block, 0, part, device::StoreKind::nontemporal));
        // Nothing of what was in the block before stays readable in a metadata block.
        DAXPIN_TRY(devices.set(block, part.size(), std::byte{0}, block_size - part.size(),
                               device::StoreKind::nontemporal));
        blocks.push_back(block);
        content = content.subspan(part.size());
    }
    return blocks;
}

} // namespace

Result<Bytes> encode_blob(btree::Tree::Transaction &tx, std::string_view name,
                          std::span<const std::byte> content) {
    DAXPIN_ASSERT(name.size() <= name_bytes_max);
    if (content.size() > format::blob_bytes_max)
        return Errc::too_big;
    BlobItem item{};
    item.length = static_cast<std::uint32_t>(content.size());
    item.crc = crc32c(content);
    item.name_length = static_cast<std::uint16_t>(name.size());
    item.block_count = static_cast<std::uint16_t>(blocks_for(content.size()));

    const auto item_bytes = btree::bytes_of(item);
    const auto name_bytes = std::as_bytes(std::span(name));
    Bytes value(item_bytes.begin(), item_bytes.end());
    value.insert(value.end(), name_bytes.begin(), name_bytes.end());
    if (item.block_count == 0) {
        value.insert(value.end(), content.begin(), content.end());
        return value;
    }
    value.resize(sizeof item + padded(name.size()));
    DAXPIN_TRY_ASSIGN(const auto blocks, store_content(tx, content));
    for (const MediaBlock block : blocks) {
        const le64 address = block.value;
        const auto bytes = btree::bytes_of(address);
        value.insert(value.end(), bytes.begin(), bytes.end());
    }
    return value;
}

Result<Bytes> decode_blob(const device::DeviceTable &devices, std::span<const std::byte> value) {
    DAXPIN_TRY_ASSIGN(const auto parsed, parse(value));
    DAXPIN_TRY(check_blocks(devices, parsed));
    Bytes content(parsed.item.length);
    if (parsed.item.block_count == 0)
        std::ranges::copy(parsed.rest, content.begin());
    for (std::size_t i = 0; i < parsed.item.block_count; ++i) {
        const std::size_t done = i * block_size;
        const auto part = std::span(content).subspan(
            done, std::min<std::size_t>(block_size, content.size() - done));
        auto read = devices.read(parsed.block(i), 0, part);
        if (!read && read.code() == Errc::io)
            return damaged(parsed, "cannot be read (media error)");
        DAXPIN_TRY(std::move(read));
    }
    if (crc32c(content) != parsed.item.crc)
        return damaged(parsed, "has a wrong checksum");
    return content;
}

Result<std::string_view> blob_name(std::span<const std::byte> value) {
    DAXPIN_TRY_ASSIGN(const auto parsed, parse(value));
    return parsed.name;
}

Result<void> free_blob(btree::Tree::Transaction &tx, std::span<const std::byte> value) {
    DAXPIN_TRY_ASSIGN(const auto parsed, parse(value));
    DAXPIN_TRY(check_blocks(tx.units().journal().devices(), parsed));
    for (std::size_t i = 0; i < parsed.item.block_count; ++i)
        tx.free_unit(parsed.block(i));
    return {};
}

} // namespace daxpin::inode
