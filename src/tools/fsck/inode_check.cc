// SPDX-License-Identifier: BSD-3-Clause
#include "tools/fsck/inode_check.h"

#include <algorithm>
#include <bit>
#include <climits>
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
    pass_.findings.about(number);
    gap_ = gap;
    orphan_reported_ = false;
    types_seen_ = 0;
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

void InodeCheck::drop(Stage stage, Subject subject, const reader::Key &key,
                      const std::string &what) {
    pass_.findings.fix(stage, subject,
                       "inode " + std::to_string(number_) + ": " + what + " removed",
                       FixItems{{key}, {}});
}

void InodeCheck::set(Stage stage, Subject subject, InodeField field, std::uint64_t value,
                     const std::string &what) {
    const std::string text =
        "inode " + std::to_string(number_) + ": " + what + " set to " + std::to_string(value);
    if (stage == Stage::counts)
        pass_.findings.safe_fix(stage, subject, text, FixInode{number_, field, value});
    else
        pass_.findings.fix(stage, subject, text, FixInode{number_, field, value});
}

void InodeCheck::rehash(Subject subject, const reader::Key &key, std::uint64_t hash,
                        const std::string &what) {
    pass_.findings.fix(Stage::items, subject,
                       "inode " + std::to_string(number_) + ": " + what + " put where it belongs",
                       FixRehash{key, hash});
}

bool InodeCheck::is_reserved() const {
    return (number_ != format::root_inode && number_ < format::first_free_inode) ||
           number_ > format::inode_max;
}

void InodeCheck::item(const reader::Item &item, MediaBlock leaf) {
    if (is_reserved())
        drop(Stage::items, Subject::inode, item.key, "item " + to_string(item.key));
    types_seen_ |= 1U << item.key.type();
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
    case ItemType::bad_block:
    case ItemType::quarantine:
    case ItemType::shutdown:
        break;
    }
    error(Subject::inode, "item of impossible type " + std::to_string(item.key.type()));
    drop(Stage::items, Subject::inode, item.key, "item " + to_string(item.key));
}

void InodeCheck::inode(const reader::Item &item) {
    names_.clear();
    if (item.key.offset() != 0 || item.value.size() != sizeof(format::InodeItem)) {
        error(Subject::inode, "inode item of impossible place or size");
        return drop(Stage::inodes, Subject::inode, item.key, "item " + to_string(item.key));
    }
    inode_.emplace();
    std::memcpy(&*inode_, item.value.data(), sizeof *inode_);
    ++pass_.report.counts.inodes;
    graph_.add_inode(number_, *inode_);
    check_attributes();
}

void InodeCheck::check_attributes() {
    if (!known_mode(inode_->mode))
        error(Subject::inode, "impossible mode " + std::to_string(inode_->mode));
    if ((inode_->flags & ~known_flags) != 0) {
        error(Subject::inode, "unknown flags " + std::to_string(inode_->flags & ~known_flags));
        set(Stage::inodes, Subject::inode, InodeField::flags, inode_->flags & known_flags, "flags");
    }
    if (inode_->size > std::uint64_t{INT64_MAX})
        error(Subject::inode, "impossible size " + std::to_string(inode_->size));
    if (inode_->align_hint != 0 && !std::has_single_bit(inode_->align_hint.get())) {
        error(Subject::inode, "impossible alignment " + std::to_string(inode_->align_hint));
        set(Stage::inodes, Subject::inode, InodeField::align_hint, 0, "alignment");
    }
    if ((inode_->flags & format::inode_flag_pinned_whole) != 0 && !is(S_IFREG)) {
        error(Subject::pin, "wholly pinned but not a regular file");
        set(Stage::inodes, Subject::pin, InodeField::flags,
            inode_->flags & known_flags & ~format::inode_flag_pinned_whole, "flags");
    }
}

// The type that the items speak for.
std::uint32_t InodeCheck::likely_type() const {
    const auto seen = [&](ItemType type) {
        return (types_seen_ >> static_cast<unsigned>(type) & 1) != 0;
    };
    if (number_ == format::root_inode || seen(ItemType::dirent))
        return S_IFDIR;
    return seen(ItemType::symlink) ? S_IFLNK : S_IFREG;
}

// Once all items were seen: they tell what the fields should be.
void InodeCheck::check_mode() {
    if (!known_mode(inode_->mode)) {
        const std::uint32_t permissions = inode_->mode & 07777;
        const std::uint32_t type = inode_->mode & S_IFMT;
        set(Stage::inodes, Subject::inode, InodeField::mode,
            permissions | (known_mode(type) ? type : likely_type()), "mode");
    }
    if (inode_->size > std::uint64_t{INT64_MAX})
        set(Stage::inodes, Subject::inode, InodeField::size,
            std::min<std::uint64_t>(extent_end_ * block_size, INT64_MAX), "size");
}

// Items that lost their inode get one, so that what they hold can be had: with the fields that
// follow from them, and otherwise for root alone.
void InodeCheck::make_inode() {
    constexpr unsigned content = 1U << static_cast<unsigned>(ItemType::dirent) |
                                 1U << static_cast<unsigned>(ItemType::symlink) |
                                 1U << static_cast<unsigned>(ItemType::extent);
    const std::string name = "inode " + std::to_string(number_);
    if ((types_seen_ & content) == 0 && number_ != format::root_inode)
        return pass_.findings.fix(Stage::inodes, Subject::inode, name + ": items removed",
                                  FixRemoval{number_});
    const std::uint32_t type = likely_type();
    format::InodeItem item{};
    item.generation = number_ == format::root_inode ? 1 : 0; // an entry will tell
    item.mode = type | (type == S_IFLNK ? 0777 : type == S_IFDIR ? 0700 : 0600);
    item.link_count =
        type == S_IFDIR ? static_cast<std::uint32_t>(2 + subdirectories_) : std::uint32_t{1};
    item.size = type == S_IFDIR   ? entries_
                : type == S_IFLNK ? symlink_bytes_.value_or(0)
                                  : std::min<std::uint64_t>(extent_end_ * block_size, INT64_MAX);
    item.block_count = extent_blocks_;
    item.parent = type == S_IFDIR ? format::root_inode : 0;
    const reader::Key key{number_, std::uint64_t{static_cast<unsigned>(ItemType::inode)} << 60};
    pass_.findings.fix(Stage::inodes, Subject::inode, name + ": attributes made anew",
                       FixItems{{}, {{key, item_bytes(item)}}});
}

void InodeCheck::check_name(Subject subject, const reader::Key &key, std::string_view name) {
    const std::uint64_t hash = key.offset() >> discriminator_bits;
    const std::uint64_t right = reader::name_hash(pass_.hash_key, name);
    if (hash != right) {
        error(subject, "the key of " + quoted(name) + " does not match its name");
        rehash(subject, key, right, quoted(name));
    }
    if (names_.add(hash, name))
        return;
    error(subject, quoted(name) + " is there twice");
    drop(Stage::items, subject, key, "second " + quoted(name));
}

void InodeCheck::entry(const reader::Item &item, MediaBlock leaf) {
    ++entries_;
    ++pass_.report.counts.entries;
    const auto drop_entry = [&](const std::string &name) {
        drop(Stage::items, Subject::entry, item.key, "entry" + name);
    };
    if (inode_ && !is(S_IFDIR)) {
        error(Subject::entry, "has entries but is not a directory");
        drop_entry("");
    }
    format::DirentItem entry{};
    if (item.value.size() < sizeof entry) {
        error(Subject::entry, "entry of impossible size");
        return drop_entry("");
    }
    std::memcpy(&entry, item.value.data(), sizeof entry);
    const auto bytes = item.value.subspan(sizeof entry);
    const std::string_view name{reinterpret_cast<const char *>(bytes.data()), bytes.size()};
    if (entry.name_length < 1 || entry.name_length > 255 || entry.name_length != name.size()) {
        error(Subject::entry, "entry of impossible length");
        return drop_entry("");
    }
    if (!is_entry_name(name)) {
        error(Subject::entry, "impossible name " + quoted(name));
        drop_entry(" " + quoted(name));
    } else {
        check_name(Subject::entry, item.key, name);
    }
    if (entry.type == S_IFDIR >> 12)
        ++subdirectories_;
    graph_.add_entry(
        {number_, item.key.place, leaf.value, entry.inode, entry.generation, entry.type});
}

void InodeCheck::xattr(const reader::Item &item) {
    const std::string owner = "inode " + std::to_string(number_) + ", extended attribute";
    const auto blob = check_blob(pass_, owner, item.value);
    if (!blob)
        return drop(Stage::inodes, Subject::blob, item.key, "extended attribute");
    if (blob->name.empty() || !has_no_nul(blob->name)) {
        error(Subject::blob, "extended attribute of impossible name " + quoted(blob->name));
        return drop(Stage::items, Subject::blob, item.key, "extended attribute");
    }
    check_name(Subject::blob, item.key, blob->name);
}

void InodeCheck::symlink(const reader::Item &item) {
    const auto drop_target = [&](Stage stage) {
        drop(stage, Subject::blob, item.key, "link target");
    };
    if (inode_ && !is(S_IFLNK)) {
        error(Subject::blob, "has a link target but is not a symbolic link");
        drop_target(Stage::items);
    }
    if (item.key.offset() != 0) {
        error(Subject::blob, "link target at an impossible place");
        drop_target(Stage::inodes);
    }
    const std::string owner = "inode " + std::to_string(number_) + ", link target";
    const auto blob = check_blob(pass_, owner, item.value);
    if (!blob) {
        gap_ = true; // reported; its size says nothing
        return drop_target(Stage::inodes);
    }
    symlink_bytes_ = blob->content.size();
    const std::string_view target{reinterpret_cast<const char *>(blob->content.data()),
                                  blob->content.size()};
    if (!blob->name.empty() || target.empty() || target.size() >= block_size ||
        !has_no_nul(target)) {
        error(Subject::blob, "impossible link target");
        drop_target(Stage::inodes);
    }
}

void InodeCheck::finish() {
    finish_items();
    pass_.findings.about(0);
}

void InodeCheck::finish_items() {
    if (!inode_) {
        if (orphan_reported_ && !gap_ && !is_reserved())
            make_inode();
        return;
    }
    if (!gap_)
        check_mode();
    if (is(S_IFDIR))
        finish_directory();
    if (gap_)
        return;
    if (is(S_IFLNK) && inode_->link_count != 0 && symlink_bytes_ != inode_->size.get()) {
        error(Subject::blob, "size " + std::to_string(inode_->size) + ", link target " +
                                 (symlink_bytes_ ? std::to_string(*symlink_bytes_) + " bytes"
                                                 : std::string("missing")));
        if (symlink_bytes_)
            set(Stage::counts, Subject::blob, InodeField::size, *symlink_bytes_, "size");
        else
            pass_.findings.fix(Stage::items, Subject::blob,
                               "inode " + std::to_string(number_) +
                                   ": symbolic link without a target removed",
                               FixRemoval{number_});
    }
    finish_file();
    finish_pins();
}

void InodeCheck::finish_directory() {
    ++pass_.report.counts.directories;
    if (inode_->parent == 0 || inode_->parent > format::inode_max)
        error(Subject::directory, "impossible parent " + std::to_string(inode_->parent));
    if (gap_)
        return;
    if (inode_->size != entries_) {
        error(Subject::directory,
              "size " + std::to_string(inode_->size) + ", entries " + std::to_string(entries_));
        set(Stage::counts, Subject::directory, InodeField::size, entries_, "number of entries");
    }
    const std::uint64_t links = 2 + subdirectories_;
    if (inode_->link_count == 0 && entries_ != 0)
        error(Subject::directory, "removed but not empty");
    if (inode_->link_count != 0 && inode_->link_count != links)
        error(Subject::link_count, "link count " + std::to_string(inode_->link_count) +
                                       ", subdirectories " + std::to_string(subdirectories_));
    // One that was removed has nothing in it, and is not the root.
    const bool removed = inode_->link_count == 0 && entries_ == 0 && number_ != format::root_inode;
    if (inode_->link_count != links && !removed)
        set(Stage::counts, Subject::link_count, InodeField::link_count, links, "link count");
}

} // namespace daxpin::fsck
