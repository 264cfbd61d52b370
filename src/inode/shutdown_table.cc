// SPDX-License-Identifier: BSD-3-Clause
#include "inode/shutdown_table.h"

namespace daxpin::inode {
namespace {

using btree::Key;
using format::ShutdownItem;

Key key_of(unsigned device) {
    return Key::of({format::shutdown_table}, format::ItemType::shutdown, device);
}

} // namespace

Result<std::optional<std::uint64_t>> ShutdownTable::find(unsigned device) const {
    btree::Item found;
    DAXPIN_TRY_ASSIGN(const bool is_there, tree_.find(nullptr, key_of(device), found));
    if (!is_there)
        return std::nullopt;
    DAXPIN_TRY_ASSIGN(const auto item, found.as<ShutdownItem>());
    return item.unsafe_count.get();
}

Result<void> ShutdownTable::put(Transaction &tx, unsigned device, std::uint64_t count) {
    ShutdownItem item{};
    item.unsafe_count = count;
    return tree_.replace(tx, key_of(device), btree::bytes_of(item));
}

} // namespace daxpin::inode
