// SPDX-License-Identifier: BSD-3-Clause
#include "tools/repair/items.h"

#include <algorithm>

namespace daxpin::repair {
namespace {

using btree::Key;
using format::ItemType;
using Transaction = alloc::Transaction;

// So many items at a time: a record holds an eighth of the ring, which may be small.
constexpr std::size_t items_per_step = 8;

Key key_of(const reader::Key &key) {
    return {key.inode, key.place};
}

Result<void> erase_if_there(Engine &engine, Transaction &tx, Key key) {
    auto erased = engine.tree().erase(tx, key);
    return !erased && erased.code() == Errc::not_found ? Result<void>{} : erased;
}

// The name in the value of a directory entry or an extended attribute.
std::span<const std::byte> name_in(ItemType type, std::span<const std::byte> value) {
    if (type == ItemType::dirent)
        return value.subspan(std::min(value.size(), sizeof(format::DirentItem)));
    format::BlobItem blob;
    if (value.size() < sizeof blob)
        return {};
    std::memcpy(&blob, value.data(), sizeof blob);
    const auto rest = value.subspan(sizeof blob);
    return rest.first(std::min<std::size_t>(rest.size(), blob.name_length));
}

// The key for an item of this name; nothing if the name is there, or has no place.
Result<std::optional<Key>> free_place(Engine &engine, Transaction &tx, Key old, std::uint64_t hash,
                                      std::span<const std::byte> name) {
    std::optional<Key> free;
    btree::Item there;
    for (unsigned i = 0; i < 256; ++i) {
        const Key key = Key::of({old.inode}, old.type(), hash << 8 | i);
        DAXPIN_TRY_ASSIGN(const bool found, engine.tree().find(&tx, key, there));
        if (found && std::ranges::equal(name_in(key.type(), there.value()), name))
            return std::optional<Key>{};
        if (!found && !free)
            free = key;
    }
    return free;
}

template <typename T, typename Change>
Result<void> change(Engine &engine, Key key, Change &&change) {
    return engine.transact([&](Transaction &tx) -> Result<void> {
        btree::Item item;
        DAXPIN_TRY_ASSIGN(const bool found, engine.tree().find(&tx, key, item));
        if (!found || item.value().size() < sizeof(T))
            return {};
        std::vector<std::byte> value(item.value().begin(), item.value().end());
        T object;
        std::memcpy(&object, value.data(), sizeof object);
        change(object);
        std::memcpy(value.data(), &object, sizeof object);
        return engine.tree().replace(tx, key, value);
    });
}

} // namespace

// The last step takes the old items out: if there is a crash before, they are found again, and
// the same is done again.
Result<void> fix(Engine &engine, const fsck::FixItems &fix) {
    for (std::size_t left = fix.put.size();;) {
        const std::size_t begin = left > items_per_step ? left - items_per_step : 0;
        DAXPIN_TRY(engine.transact([&](Transaction &tx) -> Result<void> {
            if (begin == 0)
                for (const auto &key : fix.erase)
                    DAXPIN_TRY(erase_if_there(engine, tx, key_of(key)));
            for (std::size_t i = begin; i < left; ++i)
                DAXPIN_TRY(engine.tree().replace(tx, key_of(fix.put[i].first), fix.put[i].second));
            return {};
        }));
        if (begin == 0)
            return {};
        left = begin;
    }
}

Result<void> fix(Engine &engine, const fsck::FixRehash &fix) {
    return engine.transact([&](Transaction &tx) -> Result<void> {
        const Key old = key_of(fix.key);
        btree::Item item;
        DAXPIN_TRY_ASSIGN(const bool found, engine.tree().find(&tx, old, item));
        if (!found)
            return {};
        DAXPIN_TRY_ASSIGN(const auto place,
                          free_place(engine, tx, old, fix.hash, name_in(old.type(), item.value())));
        if (place)
            DAXPIN_TRY(engine.tree().insert(tx, *place, item.value()));
        return engine.tree().erase(tx, old);
    });
}

Result<void> fix(Engine &engine, const fsck::FixRemoval &fix) {
    for (;;) {
        std::vector<Key> keys;
        DAXPIN_TRY(engine.tree().scan(nullptr, {fix.inode, 0}, {fix.inode + 1, 0},
                                      [&](Key key, std::span<const std::byte>) {
                                          keys.push_back(key);
                                          return keys.size() < items_per_step;
                                      }));
        if (keys.empty())
            return {};
        DAXPIN_TRY(engine.transact([&](Transaction &tx) -> Result<void> {
            for (const Key &key : keys)
                DAXPIN_TRY(erase_if_there(engine, tx, key));
            return {};
        }));
    }
}

Result<void> fix(Engine &engine, const fsck::FixInode &fix) {
    using fsck::InodeField;
    const auto key = Key::of({fix.inode}, ItemType::inode);
    return change<format::InodeItem>(engine, key, [&](format::InodeItem &inode) {
        const auto small = static_cast<std::uint32_t>(fix.value);
        switch (fix.field) {
        case InodeField::generation:
            inode.generation = fix.value;
            return;
        case InodeField::mode:
            inode.mode = small;
            return;
        case InodeField::link_count:
            inode.link_count = small;
            return;
        case InodeField::size:
            inode.size = fix.value;
            return;
        case InodeField::block_count:
            inode.block_count = fix.value;
            return;
        case InodeField::flags:
            inode.flags = small;
            return;
        case InodeField::parent:
            inode.parent = fix.value;
            return;
        case InodeField::align_hint:
            inode.align_hint = fix.value;
            return;
        }
    });
}

Result<void> fix(Engine &engine, const fsck::FixEntryType &fix) {
    return change<format::DirentItem>(engine, key_of(fix.key), [&](format::DirentItem &entry) {
        entry.type = static_cast<std::uint16_t>(fix.type);
    });
}

} // namespace daxpin::repair
