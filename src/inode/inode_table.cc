// SPDX-License-Identifier: BSD-3-Clause
#include "inode/inode_table.h"

#include <algorithm>
#include <bit>
#include <sys/stat.h>

namespace daxpin::inode {

namespace {

using btree::Key;
using format::InodeItem;
using format::ItemType;

constexpr std::uint32_t known_flags = format::inode_flag_immutable | format::inode_flag_append |
                                      format::inode_flag_noatime | format::inode_flag_nodump |
                                      format::inode_flag_dax | format::inode_flag_pinned_whole;

Key key_of(InodeNumber number) {
    return Key::of(number, ItemType::inode);
}

bool possible_mode(std::uint32_t mode) {
    if ((mode & ~(std::uint32_t{S_IFMT} | 07777)) != 0)
        return false;
    switch (mode & S_IFMT) {
    case S_IFIFO:
    case S_IFCHR:
    case S_IFDIR:
    case S_IFBLK:
    case S_IFREG:
    case S_IFLNK:
    case S_IFSOCK:
        return true;
    default:
        return false;
    }
}

bool possible_directory(const Attributes &attributes) {
    // "." and ".." count as links: two, and one for each directory among the entries.
    return attributes.parent.value > 0 && attributes.parent.value <= format::inode_max &&
           (attributes.link_count <= 2 || attributes.link_count - 2 <= attributes.size);
}

// What no sequence of operations can produce on a volume that is whole.
bool possible(const Attributes &attributes) {
    if (!possible_mode(attributes.mode) || (attributes.flags & ~known_flags) != 0)
        return false;
    if (attributes.size > std::uint64_t{INT64_MAX})
        return false;
    if (attributes.align_hint != 0 && !std::has_single_bit(attributes.align_hint))
        return false;
    return !attributes.is_directory() || possible_directory(attributes);
}

std::int64_t time_of(std::uint64_t bits) {
    return static_cast<std::int64_t>(bits);
}
std::uint64_t bits_of(std::int64_t time) {
    return static_cast<std::uint64_t>(time);
}

Attributes decode(InodeNumber number, const InodeItem &item) {
    Attributes attributes;
    attributes.number = number;
    attributes.generation = item.generation;
    attributes.mode = item.mode;
    attributes.uid = item.uid;
    attributes.gid = item.gid;
    attributes.link_count = item.link_count;
    attributes.size = item.size;
    attributes.block_count = item.block_count;
    attributes.atime_ns = time_of(item.atime_ns);
    attributes.mtime_ns = time_of(item.mtime_ns);
    attributes.ctime_ns = time_of(item.ctime_ns);
    attributes.btime_ns = time_of(item.btime_ns);
    attributes.rdev = item.rdev;
    attributes.flags = item.flags;
    attributes.parent = {item.parent};
    attributes.align_hint = item.align_hint;
    std::ranges::copy(item.lease_boot, attributes.lease_boot.begin());
    return attributes;
}

InodeItem encode(const Attributes &attributes) {
    InodeItem item{};
    item.generation = attributes.generation;
    item.mode = attributes.mode;
    item.uid = attributes.uid;
    item.gid = attributes.gid;
    item.link_count = attributes.link_count;
    item.size = attributes.size;
    item.block_count = attributes.block_count;
    item.atime_ns = bits_of(attributes.atime_ns);
    item.mtime_ns = bits_of(attributes.mtime_ns);
    item.ctime_ns = bits_of(attributes.ctime_ns);
    item.btime_ns = bits_of(attributes.btime_ns);
    item.rdev = attributes.rdev;
    item.flags = attributes.flags;
    item.parent = attributes.parent.value;
    item.align_hint = attributes.align_hint;
    std::ranges::copy(attributes.lease_boot, item.lease_boot);
    return item;
}

Result<Attributes> decode_item(InodeNumber number, const btree::Item &item) {
    if (item.value().size() != sizeof(InodeItem))
        return Errc::corrupt;
    DAXPIN_TRY_ASSIGN(const auto on_media, item.as<InodeItem>());
    const Attributes attributes = decode(number, on_media);
    if (!possible(attributes))
        return Errc::corrupt;
    return attributes;
}

} // namespace

InodeTable::InodeTable(btree::Tree &tree, Env &env, std::uint64_t next, std::optional<Error> damage)
    : tree_(tree), next_(next), damage_(std::move(damage)) {
    env.random(std::as_writable_bytes(std::span(generation_key_)));
}

Result<std::unique_ptr<InodeTable>> InodeTable::open(btree::Tree &tree, Env &env) {
    btree::Item last;
    const auto any = tree.previous(nullptr, Key{UINT64_MAX, UINT64_MAX}, last);
    if (!any && any.code() != Errc::corrupt)
        return any.error();
    std::optional<Error> damage;
    if (!any)
        damage = any.error();
    const std::uint64_t highest = any && *any ? last.key.inode : 0;
    if (highest > format::inode_max)
        damage = Error{Errc::corrupt, "an inode number is impossible"};
    const std::uint64_t next = std::max(highest + 1, format::first_free_inode);
    return std::unique_ptr<InodeTable>(new InodeTable(tree, env, next, std::move(damage)));
}

Result<InodeTable::Identity> InodeTable::new_identity(InodeNumber parent) {
    if (damage_)
        return *damage_;
    Run &run = runs_[parent.value % runs_.size()];
    std::uint64_t number;
    {
        const MutexLock lock(run.mutex);
        if (run.next == run.end) {
            run.next = next_.load(std::memory_order_relaxed);
            do
                run.end = (run.next / btree::inodes_of_a_run + 1) * btree::inodes_of_a_run;
            while (!next_.compare_exchange_weak(run.next, run.end, std::memory_order_relaxed));
        }
        number = run.next++;
    }
    if (number > format::inode_max)
        return Errc::no_space;
    const std::uint64_t generation = keyed_hash(generation_key_, btree::bytes_of(number));
    return Identity{{number}, generation != 0 ? generation : 1};
}

Result<Attributes> InodeTable::load_to_change(Transaction &tx, InodeNumber number) const {
    btree::Item item;
    DAXPIN_TRY_ASSIGN(const bool any, tree_.next_to_change(tx, key_of(number), item));
    if (!any || item.key != key_of(number))
        return Errc::stale;
    return decode_item(number, item);
}

Result<Attributes> InodeTable::load(Transaction *tx, InodeNumber number) const {
    btree::Item item;
    DAXPIN_TRY_ASSIGN(const bool found, tree_.find(tx, key_of(number), item));
    if (!found)
        return Errc::stale;
    return decode_item(number, item);
}

Result<void> InodeTable::store(Transaction &tx, const Attributes &attributes) {
    // The stored counts already disagreed with the directory's entries.
    if (!possible(attributes))
        return Error{Errc::corrupt, "the counts of inode " +
                                        std::to_string(attributes.number.value) +
                                        " do not agree with what it holds: run fsck.daxpinfs"};
    const InodeItem item = encode(attributes);
    return tree_.replace(tx, key_of(attributes.number), btree::bytes_of(item));
}

Result<void> InodeTable::erase(Transaction &tx, InodeNumber number) {
    return tree_.erase(tx, key_of(number));
}

} // namespace daxpin::inode
