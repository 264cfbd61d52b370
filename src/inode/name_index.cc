// SPDX-License-Identifier: BSD-3-Clause
#include "inode/name_index.h"

namespace daxpin::inode {

using btree::Key;

std::uint64_t name_hash(const HashKey &key, std::string_view name) {
    const std::uint64_t hash = keyed_hash(key, std::as_bytes(std::span(name))) >> 12;
    return hash != 0 ? hash : 1;
}

Result<bool> find_name_or_place(const NamedItems &items, btree::Tree::Transaction *tx,
                                std::uint64_t hash, std::string_view name, btree::Item &item,
                                std::optional<Key> &free) {
    const Key first = Key::of(items.inode, items.type, first_place(hash));
    const Key end{first.inode, first.place + (std::uint64_t{1} << discriminator_bits)};
    Key lowest_free = first;
    Key from = first;
    for (;;) {
        DAXPIN_TRY_ASSIGN(const bool any, tx != nullptr ? items.tree.next_to_change(*tx, from, item)
                                                        : items.tree.next(nullptr, from, item));
        if (!any || item.key >= end)
            break;
        DAXPIN_TRY_ASSIGN(const auto found_name, items.name_of(item.value()));
        if (found_name == name)
            return true;
        if (item.key == lowest_free)
            ++lowest_free.place;
        from = {item.key.inode, item.key.place + 1};
    }
    free = lowest_free < end ? std::optional(lowest_free) : std::nullopt;
    return false;
}

Result<bool> find_name(const NamedItems &items, btree::Tree::Transaction *tx, std::uint64_t hash,
                       std::string_view name, btree::Item &item) {
    std::optional<Key> free;
    return find_name_or_place(items, tx, hash, name, item, free);
}

} // namespace daxpin::inode
