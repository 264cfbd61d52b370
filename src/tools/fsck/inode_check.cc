// SPDX-License-Identifier: BSD-3-Clause
#include "tools/fsck/inode_check.h"

#include <algorithm>
#include <bit>
#include <sys/stat.h>

namespace daxpin::fsck {
namespace {

using format::ItemType;

constexpr std::uint32_t known_flags = format::inode_flag_immutable | format::inode_flag_append |
                                      format::inode_flag_noatime | format::inode_flag_nodump |
                                      format::inode_flag_dax | format::inode_flag_pinned_whole;
constexpr unsigned discriminator_bits = 8;

bool known_mode(std::uint32_t mode) {
    switch (mode & S_IFMT) {
    case S_IFIFO:
    case S_IFCHR:
    case S_IFDIR:
    case S_IFBLK:
    case S_IFREG:
    case S_IFLNK:
    case S_IFSOCK:
        return (mode & ~(std::uint32_t{S_IFMT} | 07777)) == 0;
    default:
        return false;
    }
}

bool has_no_nul(std::string_view text) {
    return text.find('\0') == std::string_view::npos;
}

bool is_entry_name(std::string_view name) {
    return has_no_nul(name) && name.find('/') == std::string_view::npos && name != "." &&
           name != "..";
}

std::string quoted(std::string_view name) {
    return "'" + reader::printable(name) + "'";
}

} // namespace

bool NameRun::add(std::uint64_t hash, std::string_view name) {
    if (hash != hash_)
        count_ = 0;
    hash_ = hash;
    for (std::size_t i = 0; i < count_; ++i)
        if (names_[i] == name)
            return false;
    if (count_ == names_.size())
        names_.emplace_back();
    names_[count_++] = name;
    return true;
}

void InodeCheck::begin(std::uint64_t number, bool gap) {
    number_ = number;
    gap_ = gap;
    orphan_reported_ = false;
    inode_.reset();
    entries_ = subdirectories_ = 0;
    names_.clear();
    symlink_bytes_.reset();
    extent_blocks_ = extent_end_ = 0;
    written_.clear();
    pins_.clear();
}

void InodeCheck::error(Subject subject, const std::string &text) {
    pass_.findings.error(subject, "inode " + std::to_string(number_) + ": " + text);
}

void InodeCheck::item(const reader::Item &item, MediaBlock leaf) {
    const auto type = static_cast<ItemType>(item.key.type());
    if (type != ItemType::inode && !inode_ && !gap_ && !orphan_reported_) {
        orphan_reported_ = true;
        error(Subject::inode, "items without an inode");
    }
    switch (type) {
    case ItemType::inode:
        return inode(item);
    case ItemType::dirent:
        return entry(item, leaf);
    case ItemType::xattr:
        return xattr(item);
    case ItemType::symlink:
        return symlink(item);
    case ItemType::extent:
        return extent(item);
    case ItemType::pin:
        return pin(item);
    case ItemType::unfinished:
        break;
    }
    error(Subject::inode, "item of impossible type " + std::to_string(item.key.type()));
}

void InodeCheck::inode(const reader::Item &item) {
    names_.clear();
    if (item.key.offset() != 0 || item.value.size() != sizeof(format::InodeItem))
        return error(Subject::inode, "inode item of impossible place or size");
    inode_.emplace();
    std::memcpy(&*inode_, item.value.data(), sizeof *inode_);
    ++pass_.report.counts.inodes;
    graph_.add_inode(number_, *inode_);
    check_attributes();
}

void InodeCheck::check_attributes() {
    if (!known_mode(inode_->mode))
        error(Subject::inode, "impossible mode " + std::to_string(inode_->mode));
    if ((inode_->flags & ~known_flags) != 0)
        error(Subject::inode, "unknown flags " + std::to_string(inode_->flags & ~known_flags));
    if (inode_->size > std::uint64_t{INT64_MAX})
        error(Subject::inode, "impossible size " + std::to_string(inode_->size));
    if (inode_->align_hint != 0 && !std::has_single_bit(inode_->align_hint.get()))
        error(Subject::inode, "impossible alignment " + std::to_string(inode_->align_hint));
    if ((inode_->flags & format::inode_flag_pinned_whole) != 0 && !is(S_IFREG))
        error(Subject::pin, "wholly pinned but not a regular file");
}

void InodeCheck::check_name(Subject subject, const reader::Key &key, std::string_view name) {
    const std::uint64_t hash = key.offset() >> discriminator_bits;
    if (hash != reader::name_hash(pass_.hash_key, name))
        error(subject, "the key of " + quoted(name) + " does not match its name");
    if (!names_.add(hash, name))
        error(subject, quoted(name) + " is there twice");
}

void InodeCheck::entry(const reader::Item &item, MediaBlock leaf) {
    ++entries_;
    ++pass_.report.counts.entries;
    if (inode_ && !is(S_IFDIR))
        error(Subject::entry, "has entries but is not a directory");
    format::DirentItem entry{};
    if (item.value.size() < sizeof entry)
        return error(Subject::entry, "entry of impossible size");
    std::memcpy(&entry, item.value.data(), sizeof entry);
    const auto bytes = item.value.subspan(sizeof entry);
    const std::string_view name{reinterpret_cast<const char *>(bytes.data()), bytes.size()};
    if (entry.name_length < 1 || entry.name_length > 255 || entry.name_length != name.size())
        return error(Subject::entry, "entry of impossible length");
    if (!is_entry_name(name))
        error(Subject::entry, "impossible name " + quoted(name));
    check_name(Subject::entry, item.key, name);
    if (entry.type == S_IFDIR >> 12)
        ++subdirectories_;
    graph_.add_entry(
        {number_, item.key.place, leaf.value, entry.inode, entry.generation, entry.type});
}

void InodeCheck::xattr(const reader::Item &item) {
    const std::string owner = "inode " + std::to_string(number_) + ", extended attribute";
    const auto blob = check_blob(pass_, owner, item.value);
    if (!blob)
        return;
    if (blob->name.empty() || !has_no_nul(blob->name))
        error(Subject::blob, "extended attribute of impossible name " + quoted(blob->name));
    check_name(Subject::blob, item.key, blob->name);
}

void InodeCheck::symlink(const reader::Item &item) {
    if (inode_ && !is(S_IFLNK))
        error(Subject::blob, "has a link target but is not a symbolic link");
    if (item.key.offset() != 0)
        error(Subject::blob, "link target at an impossible place");
    const std::string owner = "inode " + std::to_string(number_) + ", link target";
    const auto blob = check_blob(pass_, owner, item.value);
    if (!blob) {
        gap_ = true; // reported; its size says nothing
        return;
    }
    symlink_bytes_ = blob->content.size();
    const std::string_view target{reinterpret_cast<const char *>(blob->content.data()),
                                  blob->content.size()};
    if (!blob->name.empty() || target.empty() || target.size() >= block_size || !has_no_nul(target))
        error(Subject::blob, "impossible link target");
}

void InodeCheck::finish() {
    if (!inode_)
        return;
    if (is(S_IFDIR))
        finish_directory();
    if (gap_)
        return;
    if (is(S_IFLNK) && inode_->link_count != 0 && symlink_bytes_ != inode_->size.get())
        error(Subject::blob, "size " + std::to_string(inode_->size) + ", link target " +
                                 (symlink_bytes_ ? std::to_string(*symlink_bytes_) + " bytes"
                                                 : std::string("missing")));
    finish_file();
    finish_pins();
}

void InodeCheck::finish_directory() {
    ++pass_.report.counts.directories;
    if (inode_->parent == 0 || inode_->parent > format::inode_max)
        error(Subject::directory, "impossible parent " + std::to_string(inode_->parent));
    if (gap_)
        return;
    if (inode_->size != entries_)
        error(Subject::directory,
              "size " + std::to_string(inode_->size) + ", entries " + std::to_string(entries_));
    if (inode_->link_count == 0 && entries_ != 0)
        error(Subject::directory, "removed but not empty");
    if (inode_->link_count != 0 && inode_->link_count != 2 + subdirectories_)
        error(Subject::link_count, "link count " + std::to_string(inode_->link_count) +
                                       ", subdirectories " + std::to_string(subdirectories_));
}

} // namespace daxpin::fsck
