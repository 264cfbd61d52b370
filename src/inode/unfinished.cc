// SPDX-License-Identifier: BSD-3-Clause
#include "inode/unfinished.h"

namespace daxpin::inode {

namespace {

using btree::Key;
using format::ItemType;
using format::UnfinishedItem;
using format::UnfinishedKind;

constexpr InodeNumber table{format::unfinished_table};

Key key_of(InodeNumber inode) {
    return Key::of(table, ItemType::unfinished, inode.value);
}

Result<Unfinished> decode(Key key, std::span<const std::byte> value) {
    UnfinishedItem item;
    if (value.size() != sizeof item)
        return Errc::corrupt;
    std::memcpy(&item, value.data(), sizeof item);
    const std::uint32_t kind = item.kind;
    if (kind != static_cast<std::uint32_t>(UnfinishedKind::remove) &&
        kind != static_cast<std::uint32_t>(UnfinishedKind::truncate))
        return Errc::corrupt;
    if (key.offset() < format::first_free_inode)
        return Errc::corrupt;
    return Unfinished{
        {key.offset()}, item.generation, static_cast<UnfinishedKind>(kind), {item.from_block}};
}

} // namespace

Result<void> UnfinishedTable::put(Transaction &tx, const Unfinished &work) {
    UnfinishedItem item{};
    item.generation = work.generation;
    item.from_block = work.from.value;
    item.kind = static_cast<std::uint32_t>(work.kind);
    return tree_.replace(tx, key_of(work.inode), btree::bytes_of(item));
}

Result<void> UnfinishedTable::erase(Transaction &tx, InodeNumber inode) {
    return tree_.erase(tx, key_of(inode));
}

Result<std::optional<Unfinished>> UnfinishedTable::find(Transaction *tx, InodeNumber inode) const {
    btree::Item item;
    DAXPIN_TRY_ASSIGN(const bool found, tree_.find(tx, key_of(inode), item));
    if (!found)
        return std::optional<Unfinished>{};
    DAXPIN_TRY_ASSIGN(const auto work, decode(item.key, item.value()));
    return std::optional{work};
}

Result<std::vector<Unfinished>> UnfinishedTable::list(InodeNumber from, std::size_t limit) const {
    std::vector<Unfinished> works;
    if (limit == 0 || from.value > format::inode_max)
        return works;
    bool damaged = false;
    const auto visit = [&](Key key, std::span<const std::byte> value) {
        const auto work = decode(key, value);
        damaged = !work;
        if (work)
            works.push_back(*work);
        return work && works.size() < limit;
    };
    const Key end{table.value + 1, 0};
    DAXPIN_TRY(tree_.scan(nullptr, key_of(from), end, visit));
    if (damaged)
        return Errc::corrupt;
    return works;
}

} // namespace daxpin::inode
