// SPDX-License-Identifier: BSD-3-Clause
//
// lost+found: where inodes get a name that have lost theirs.
#include "inode/directory.h"
#include "tools/repair/items.h"

#include <sys/stat.h>

namespace daxpin::repair {
namespace {

using btree::Key;
using format::ItemType;
using inode::Attributes;
using inode::Directory;
using Transaction = alloc::Transaction;

constexpr InodeNumber root{format::root_inode};
constexpr unsigned names_tried_max = 100;

class LostFound {
  public:
    LostFound(Engine &engine, inode::InodeTable &table, Transaction &tx)
        : engine_(engine), table_(table), tx_(tx) {}

    Result<void> add(const fsck::FixLost &fix) {
        const auto key = Key::of({fix.inode}, ItemType::inode);
        btree::Item item;
        DAXPIN_TRY_ASSIGN(const bool found, engine_.tree().find(&tx_, key, item));
        if (!found || item.value().size() != sizeof(format::InodeItem))
            return {};
        DAXPIN_TRY_ASSIGN(auto inode, item.as<format::InodeItem>());
        const bool is_directory = S_ISDIR(inode.mode);
        DAXPIN_TRY_ASSIGN(auto folder, find_or_make());
        if (folder.number.value == fix.inode)
            return Error{Errc::exists, "lost+found itself has no name"};
        if (fix.entry)
            DAXPIN_TRY(take_entry(*fix.entry, is_directory));
        DAXPIN_TRY(insert_name(folder.number, fix.inode, inode));
        DAXPIN_TRY(count(folder.number, 1, is_directory));
        if (is_directory) {
            inode.parent = folder.number.value;
            inode.link_count = std::max<std::uint32_t>(inode.link_count, 2);
        } else {
            inode.link_count = 1;
        }
        return engine_.tree().replace(tx_, key, btree::bytes_of(inode));
    }

  private:
    Directory directory(InodeNumber number) { return {engine_.tree(), engine_.hash_key(), number}; }

    Result<Attributes> find_or_make() {
        std::string name = "lost+found";
        for (unsigned i = 0; i < names_tried_max; ++i) {
            DAXPIN_TRY_ASSIGN(const auto entry, directory(root).find(&tx_, name));
            if (!entry)
                return make(name);
            const auto there = table_.load(&tx_, entry->number);
            if (there && there->is_directory() && there->link_count != 0)
                return *there;
            name = "lost+found." + std::to_string(i + 1);
        }
        return Error{Errc::exists, "no name is free for lost+found"};
    }

    Result<Attributes> make(const std::string &name) {
        DAXPIN_TRY_ASSIGN(const auto identity, table_.new_identity(root));
        Attributes folder;
        folder.number = identity.number;
        folder.generation = identity.generation;
        folder.mode = S_IFDIR | 0700;
        folder.link_count = 2;
        folder.parent = root;
        folder.atime_ns = folder.mtime_ns = folder.ctime_ns = folder.btime_ns =
            engine_.env().now_ns();
        DAXPIN_TRY(table_.store(tx_, folder));
        DAXPIN_TRY(
            directory(root).insert(tx_, name, {folder.number, folder.generation, S_IFDIR >> 12}));
        DAXPIN_TRY(count(root, 1, true));
        return folder;
    }

    // The counts of a directory in which an entry comes or goes. As they may be wrong, and are
    // put right by fixes of their own, nothing is asked of them.
    Result<void> count(InodeNumber number, int change, bool of_directory) {
        const auto key = Key::of(number, ItemType::inode);
        btree::Item item;
        DAXPIN_TRY_ASSIGN(const bool found, engine_.tree().find(&tx_, key, item));
        if (!found)
            return Errc::corrupt;
        DAXPIN_TRY_ASSIGN(auto inode, item.as<format::InodeItem>());
        inode.size = inode.size + change;
        if (of_directory)
            inode.link_count = inode.link_count + change;
        return engine_.tree().replace(tx_, key, btree::bytes_of(inode));
    }

    Result<void> take_entry(const reader::Key &entry, bool of_directory) {
        DAXPIN_TRY(engine_.tree().erase(tx_, {entry.inode, entry.place}));
        return count({entry.inode}, -1, of_directory);
    }

    Result<void> insert_name(InodeNumber folder, std::uint64_t number,
                             const format::InodeItem &inode) {
        const std::string base = "#" + std::to_string(number);
        const inode::Entry entry{{number}, inode.generation, inode.mode >> 12};
        for (unsigned i = 0; i < names_tried_max; ++i) {
            auto inserted = directory(folder).insert(
                tx_, i == 0 ? base : base + "." + std::to_string(i), entry);
            if (inserted || inserted.code() != Errc::exists)
                return inserted;
        }
        return Error{Errc::exists, "no name is free in lost+found"};
    }

    Engine &engine_;
    inode::InodeTable &table_;
    Transaction &tx_;
};

} // namespace

Result<void> fix(Engine &engine, const fsck::FixLost &fix) {
    DAXPIN_TRY_ASSIGN(const auto table, inode::InodeTable::open(engine.tree(), engine.env()));
    return engine.transact([&](Transaction &tx) { return LostFound(engine, *table, tx).add(fix); });
}

} // namespace daxpin::repair
