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

// The blocks of one blob: claimed, read, and given up again if they do not hold its content.
class Blocks {
  public:
    Blocks(Pass &pass, const std::string &owner) : pass_(pass), owner_(owner) {}

    bool read(std::span<const std::byte> addresses, std::vector<std::byte> &content) {
        bool whole = true;
        for (std::size_t i = 0; i < addresses.size() / sizeof(le64); ++i) {
            le64 address;
            std::memcpy(&address, addresses.data() + i * sizeof address, sizeof address);
            const std::size_t done = i * block_size;
            const auto part = std::span(content).subspan(
                done, std::min<std::size_t>(block_size, content.size() - done));
            whole = read(MediaBlock{address}, part) && whole;
        }
        return whole;
    }

    // Whoever else has them may be right.
    void give_up() { pass_.unproven.insert(claimed_.begin(), claimed_.end()); }

  private:
    bool read(MediaBlock block, std::span<std::byte> out) {
        const MediaRun run{block, {1}};
        if (!pass_.claim_metadata(run, owner_) && pass_.unproven.erase(block.value) == 0)
            return false;
        claimed_.push_back(block.value);
        pass_.forbid_records(run, owner_);
        if (pass_.view.devices().metadata().read(block.block() * block_size, out))
            return true;
        pass_.findings.error(Subject::media, owner_ + ": " + to_string(run) + " cannot be read");
        return false;
    }

    Pass &pass_;
    const std::string &owner_;
    std::vector<std::uint64_t> claimed_;
};

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
    Blocks blocks(pass, owner);
    bool whole = true;
    if (item.block_count == 0)
        std::ranges::copy(value.subspan(*offset), blob.content.begin());
    else
        whole = blocks.read(value.subspan(*offset), blob.content);
    if (whole && crc32c(blob.content) == item.crc)
        return blob;
    if (whole)
        pass.findings.error(Subject::blob, owner + ": wrong checksum of the content");
    blocks.give_up();
    return std::nullopt;
}

} // namespace daxpin::fsck
