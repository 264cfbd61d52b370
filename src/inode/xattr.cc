// SPDX-License-Identifier: BSD-3-Clause
#include "inode/xattr.h"

namespace daxpin::inode {

namespace {

using btree::Key;
using format::ItemType;

constexpr std::size_t name_bytes_max = 255;

NamedItems attributes(const btree::Tree &tree, InodeNumber number) {
    return {tree, number, ItemType::xattr, blob_name};
}

} // namespace

Result<Bytes> XattrSet::get(Transaction *tx, std::string_view name) const {
    btree::Item item;
    DAXPIN_TRY_ASSIGN(const bool found,
                      find_name(attributes(tree_, number_), tx, hash_(key_, name), name, item));
    if (!found)
        return Errc::no_attribute;
    return decode_blob(devices_, item.value());
}

Result<void> XattrSet::set(Transaction &tx, std::string_view name, std::span<const std::byte> value,
                           XattrMode mode) {
    if (name.empty() || name.size() > name_bytes_max)
        return Errc::range;
    btree::Item item;
    std::optional<Key> free;
    DAXPIN_TRY_ASSIGN(const bool found, find_name_or_place(attributes(tree_, number_), &tx,
                                                           hash_(key_, name), name, item, free));
    if (found && mode == XattrMode::create)
        return Errc::exists;
    if (!found && mode == XattrMode::replace)
        return Errc::no_attribute;
    if (!found && !free)
        return Errc::no_space;
    DAXPIN_TRY_ASSIGN(const auto blob, encode_blob(tx, name, value));
    if (!found)
        return tree_.insert(tx, *free, blob);
    DAXPIN_TRY(free_blob(tx, item.value()));
    return tree_.replace(tx, item.key, blob);
}

Result<void> XattrSet::remove(Transaction &tx, std::string_view name) {
    btree::Item item;
    DAXPIN_TRY_ASSIGN(const bool found,
                      find_name(attributes(tree_, number_), &tx, hash_(key_, name), name, item));
    if (!found)
        return Errc::no_attribute;
    DAXPIN_TRY(free_blob(tx, item.value()));
    return tree_.erase(tx, item.key);
}

Result<std::vector<std::string>> XattrSet::names() const {
    std::vector<std::string> names;
    bool damaged = false;
    const auto visit = [&](Key, std::span<const std::byte> value) {
        const auto name = blob_name(value);
        damaged = !name || name->empty();
        if (!damaged)
            names.emplace_back(*name);
        return !damaged;
    };
    // The next type's first key ends the attributes.
    DAXPIN_TRY(tree_.scan(nullptr, Key::of(number_, ItemType::xattr),
                          Key::of(number_, ItemType::symlink), visit));
    if (damaged)
        return Errc::corrupt;
    return names;
}

Result<bool> XattrSet::remove_some(Transaction &tx, unsigned count) {
    btree::Item item;
    for (unsigned removed = 0;; ++removed) {
        DAXPIN_TRY_ASSIGN(const bool any, tree_.next(&tx, Key::of(number_, ItemType::xattr), item));
        if (!any || !item.key.is(number_, ItemType::xattr))
            return false;
        if (removed == count)
            return true;
        DAXPIN_TRY(free_blob(tx, item.value()));
        DAXPIN_TRY(tree_.erase(tx, item.key));
    }
}

} // namespace daxpin::inode
