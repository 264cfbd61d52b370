// SPDX-License-Identifier: BSD-3-Clause
#include "immutable/quarantine_table.h"

#include "base/assert.h"

#include <algorithm>

namespace daxpin::immutable {
namespace {

using btree::Key;
using format::ItemType;
using format::QuarantineItem;

constexpr InodeNumber table{format::quarantine_table};

Key key_of(MediaBlock start) {
    return Key::of(table, ItemType::quarantine, start.value);
}

Result<Quarantined> decode(const device::DeviceTable &devices, Key key,
                           std::span<const std::byte> value) {
    QuarantineItem item;
    if (!key.is(table, ItemType::quarantine) || value.size() != sizeof item)
        return Errc::corrupt;
    std::memcpy(&item, value.data(), sizeof item);
    Quarantined entry;
    entry.run = {MediaBlock{key.offset()}, BlockCount{item.block_count}};
    std::ranges::copy(item.boot_id, entry.boot.begin());
    entry.inode = {item.inode};
    entry.generation = item.generation;
    if (entry.run.count.value == 0 || !devices.contains(entry.run))
        return Errc::corrupt;
    return entry;
}

} // namespace

Result<void> QuarantineTable::add(Transaction &tx, const Quarantined &entry) {
    DAXPIN_ASSERT(entry.run.count.value > 0 && entry.run.count.value <= UINT32_MAX);
    QuarantineItem item{};
    std::ranges::copy(entry.boot, item.boot_id);
    item.inode = entry.inode.value;
    item.generation = entry.generation;
    item.block_count = static_cast<std::uint32_t>(entry.run.count.value);
    auto added = tree_.insert(tx, key_of(entry.run.start), btree::bytes_of(item));
    if (!added && added.code() == Errc::exists)
        return Error{Errc::corrupt, "a file's blocks are in quarantine: run fsck.daxpinfs"};
    return added;
}

Result<void> QuarantineTable::erase(Transaction &tx, MediaBlock start) {
    return tree_.erase(tx, key_of(start));
}

Result<std::optional<Quarantined>> QuarantineTable::find(Transaction *tx, MediaBlock start) const {
    btree::Item item;
    DAXPIN_TRY_ASSIGN(const bool found, tree_.find(tx, key_of(start), item));
    if (!found)
        return std::optional<Quarantined>{};
    DAXPIN_TRY_ASSIGN(const auto entry, decode(tree_.devices(), item.key, item.value()));
    return std::optional{entry};
}

Result<std::vector<Quarantined>> QuarantineTable::list(MediaBlock from, std::size_t limit) const {
    std::vector<Quarantined> entries;
    Result<void> sound;
    const auto visit = [&](Key key, std::span<const std::byte> value) {
        const auto entry = decode(tree_.devices(), key, value);
        if (entry)
            entries.push_back(*entry);
        else
            sound = entry.error();
        return entry && entries.size() < limit;
    };
    DAXPIN_TRY(tree_.scan(nullptr, key_of(from), {table.value + 1, 0}, visit));
    DAXPIN_TRY(std::move(sound));
    return entries;
}

} // namespace daxpin::immutable
