// SPDX-License-Identifier: BSD-3-Clause
#include "tools/fsck/blob_check.h"

#include "base/checksum.h"

#include <algorithm>
#include <cstring>

namespace daxpin::fsck {
namespace {

using format::BlobItem;

constexpr std::size_t name_bytes_max = 255;

// The number of blocks that a content of this length takes; 0: it stands in the item.
std::size_t blocks_for(std::size_t length) {
    return length <= format::blob_inline_max ? 0 : (length + block_size - 1) / block_size;
}

// Where content or addresses begin in the item; nothing if the parts do not fit together.
std::optional<std::size_t> content_offset(const BlobItem &item, std::size_t value_bytes) {
    if (item.name_length > name_bytes_max || item.length > format::blob_bytes_max ||
        item.block_count != blocks_for(item.length))
        return std::nullopt;
    std::size_t offset = sizeof item + item.name_length;
    if (item.block_count != 0)
        offset = sizeof item + (item.name_length + 7U) / 8 * 8;
    const std::size_t rest =
        item.block_count == 0 ? item.length.get() : item.block_count * sizeof(le64);
    return value_bytes == offset + rest ? std::optional(offset) : std::nullopt;
}

bool read_block(Pass &pass, const std::string &owner, MediaBlock block, std::span<std::byte> out) {
    const MediaRun run{block, {1}};
    if (!pass.claim_metadata(run, owner))
        return false;
    pass.forbid_records(run, owner);
    if (pass.view.devices().metadata().read(block.block() * block_size, out))
        return true;
    pass.findings.error(Subject::media, owner + ": " + to_string(run) + " cannot be read");
    return false;
}

bool read_blocks(Pass &pass, const std::string &owner, std::span<const std::byte> addresses,
                 std::vector<std::byte> &content) {
    bool whole = true;
    for (std::size_t i = 0; i < addresses.size() / sizeof(le64); ++i) {
        le64 address;
        std::memcpy(&address, addresses.data() + i * sizeof address, sizeof address);
        const std::size_t done = i * block_size;
        const auto part = std::span(content).subspan(
            done, std::min<std::size_t>(block_size, content.size() - done));
        whole = read_block(pass, owner, MediaBlock{address}, part) && whole;
    }
    return whole;
}

} // namespace

std::optional<Blob> check_blob(Pass &pass, const std::string &owner,
                               std::span<const std::byte> value) {
    BlobItem item{};
    std::optional<std::size_t> offset;
    if (value.size() >= sizeof item) {
        std::memcpy(&item, value.data(), sizeof item);
        offset = content_offset(item, value.size());
    }
    if (!offset) {
        pass.findings.error(Subject::blob, owner + ": impossible lengths");
        return std::nullopt;
    }
    Blob blob;
    blob.name = {reinterpret_cast<const char *>(value.data() + sizeof item), item.name_length};
    blob.content.resize(item.length);
    if (item.block_count == 0)
        std::ranges::copy(value.subspan(*offset), blob.content.begin());
    else if (!read_blocks(pass, owner, value.subspan(*offset), blob.content))
        return std::nullopt;
    if (crc32c(blob.content) != item.crc) {
        pass.findings.error(Subject::blob, owner + ": wrong checksum of the content");
        return std::nullopt;
    }
    return blob;
}

} // namespace daxpin::fsck
