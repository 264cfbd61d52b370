// SPDX-License-Identifier: BSD-3-Clause
#include "inode/directory.h"

#include "base/assert.h"

#include <dirent.h>

namespace daxpin::inode {

namespace {

using btree::Key;
using format::DirentItem;
using format::ItemType;

constexpr std::uint64_t cookie_min = first_place(1);
constexpr std::uint64_t cookie_max = (std::uint64_t{1} << 60) - 1;

bool known_type(unsigned type) {
    switch (type) {
    case DT_FIFO:
    case DT_CHR:
    case DT_DIR:
    case DT_BLK:
    case DT_REG:
    case DT_LNK:
    case DT_SOCK:
        return true;
    default:
        return false;
    }
}

bool possible(const Entry &entry) {
    return entry.number.value >= format::first_free_inode &&
           entry.number.value <= format::inode_max && known_type(entry.type);
}

bool possible_name(std::string_view name) {
    return !name.empty() && name.size() <= Directory::name_bytes_max &&
           name.find('/') == name.npos && name.find('\0') == name.npos && name != "." &&
           name != "..";
}

Result<void> check_name(std::string_view name) {
    if (name.size() > Directory::name_bytes_max)
        return Errc::name_too_long;
    if (!possible_name(name))
        return Errc::invalid;
    return {};
}

struct Decoded {
    std::string_view name; // within the item
    Entry entry;
};

Result<Decoded> decode(std::span<const std::byte> value) {
    DirentItem item;
    if (value.size() < sizeof item)
        return Errc::corrupt;
    std::memcpy(&item, value.data(), sizeof item);
    const auto rest = value.subspan(sizeof item);
    const Decoded decoded{{reinterpret_cast<const char *>(rest.data()), rest.size()},
                          {{item.inode}, item.generation, item.type}};
    if (rest.size() != item.name_length || !possible_name(decoded.name) || !possible(decoded.entry))
        return Errc::corrupt;
    return decoded;
}

Result<std::string_view> name_of(std::span<const std::byte> value) {
    DAXPIN_TRY_ASSIGN(const auto decoded, decode(value));
    return decoded.name;
}

class Encoded {
  public:
    Encoded(std::string_view name, const Entry &entry) : length_(sizeof(DirentItem) + name.size()) {
        DAXPIN_ASSERT(possible_name(name) && possible(entry));
        DirentItem item{};
        item.inode = entry.number.value;
        item.generation = entry.generation;
        item.name_length = static_cast<std::uint16_t>(name.size());
        item.type = static_cast<std::uint16_t>(entry.type);
        std::memcpy(bytes_.data(), &item, sizeof item);
        std::memcpy(bytes_.data() + sizeof item, name.data(), name.size());
    }
    std::span<const std::byte> value() const { return {bytes_.data(), length_}; }

  private:
    std::size_t length_;
    std::array<std::byte, sizeof(DirentItem) + Directory::name_bytes_max> bytes_;
};

NamedItems entries(const btree::Tree &tree, InodeNumber number) {
    return {tree, number, ItemType::dirent, name_of};
}

} // namespace

Result<std::optional<Entry>> Directory::find(Transaction *tx, std::string_view name) const {
    if (name.size() > name_bytes_max)
        return Errc::name_too_long;
    btree::Item item;
    DAXPIN_TRY_ASSIGN(const bool found,
                      find_name(entries(tree_, number_), tx, hash_(key_, name), name, item));
    if (!found)
        return std::optional<Entry>{};
    DAXPIN_TRY_ASSIGN(const auto decoded, decode(item.value()));
    return std::optional{decoded.entry};
}

Result<void> Directory::insert(Transaction &tx, std::string_view name, const Entry &entry) {
    DAXPIN_TRY(check_name(name));
    btree::Item item;
    std::optional<Key> free;
    DAXPIN_TRY_ASSIGN(const bool found, find_name_or_place(entries(tree_, number_), &tx,
                                                           hash_(key_, name), name, item, free));
    if (found)
        return Errc::exists;
    if (!free)
        return Errc::no_space;
    return tree_.insert(tx, *free, Encoded(name, entry).value());
}

Result<void> Directory::replace(Transaction &tx, std::string_view name, const Entry &entry) {
    DAXPIN_TRY(check_name(name));
    btree::Item item;
    DAXPIN_TRY_ASSIGN(const bool found,
                      find_name(entries(tree_, number_), &tx, hash_(key_, name), name, item));
    if (!found)
        return Errc::not_found;
    return tree_.replace(tx, item.key, Encoded(name, entry).value());
}

Result<void> Directory::erase(Transaction &tx, std::string_view name) {
    DAXPIN_TRY(check_name(name));
    btree::Item item;
    DAXPIN_TRY_ASSIGN(const bool found,
                      find_name(entries(tree_, number_), &tx, hash_(key_, name), name, item));
    if (!found)
        return Errc::not_found;
    return tree_.erase(tx, item.key);
}

Result<void> Directory::list(std::uint64_t after, const Visitor &visit) const {
    if (after >= cookie_max)
        return {};
    const std::uint64_t from = after < cookie_min ? cookie_min : after + 1;
    bool damaged = false;
    const auto visit_item = [&](Key key, std::span<const std::byte> value) {
        const auto decoded = decode(value);
        damaged = !decoded;
        return decoded && visit(key.offset(), decoded->name, decoded->entry);
    };
    // The next type's first key ends the directory's.
    DAXPIN_TRY(tree_.scan(nullptr, Key::of(number_, ItemType::dirent, from),
                          Key::of(number_, ItemType::xattr), visit_item));
    if (damaged)
        return Errc::corrupt;
    return {};
}

} // namespace daxpin::inode
