// SPDX-License-Identifier: BSD-3-Clause
#include "inode/bad_block_table.h"

namespace daxpin::inode {

namespace {

using btree::Key;
using format::BadBlockItem;
using format::BadBlockSource;

constexpr InodeNumber table{format::bad_block_table};

Key key_of(MediaBlock block) {
    return Key::of(table, format::ItemType::bad_block, block.value);
}

Result<device::BadBlock> decode(Key key, std::span<const std::byte> value) {
    BadBlockItem item;
    if (key.type() != format::ItemType::bad_block || value.size() != sizeof item)
        return Errc::corrupt;
    std::memcpy(&item, value.data(), sizeof item);
    const std::uint32_t source = item.source;
    const std::uint32_t flags = item.flags;
    if (source < static_cast<std::uint32_t>(BadBlockSource::access) ||
        source > static_cast<std::uint32_t>(BadBlockSource::device) ||
        (flags & ~format::bad_block_flag_unowned) != 0)
        return Errc::corrupt;
    return device::BadBlock{MediaBlock{key.offset()}, static_cast<BadBlockSource>(source),
                            static_cast<std::int64_t>(item.found_ns.get()), true,
                            (flags & format::bad_block_flag_unowned) != 0};
}

} // namespace

Result<void> BadBlockTable::put(Transaction &tx, const device::BadBlock &bad) {
    BadBlockItem item{};
    item.found_ns = static_cast<std::uint64_t>(bad.found_ns);
    item.source = static_cast<std::uint32_t>(bad.source);
    item.flags = bad.unowned ? format::bad_block_flag_unowned : 0;
    return tree_.replace(tx, key_of(bad.block), btree::bytes_of(item));
}

Result<void> BadBlockTable::erase(Transaction &tx, MediaBlock block) {
    return tree_.erase(tx, key_of(block));
}

Result<std::vector<device::BadBlock>> BadBlockTable::list() const {
    std::vector<device::BadBlock> blocks;
    Result<void> sound;
    const auto visit = [&](Key key, std::span<const std::byte> value) {
        const auto bad = decode(key, value);
        if (bad)
            blocks.push_back(*bad);
        else
            sound = bad.error();
        return bad.has_value();
    };
    DAXPIN_TRY(tree_.scan(nullptr, {table.value, 0}, {table.value + 1, 0}, visit));
    DAXPIN_TRY(std::move(sound));
    return blocks;
}

} // namespace daxpin::inode
