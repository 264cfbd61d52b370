// SPDX-License-Identifier: BSD-3-Clause
//
// InodeCheck: the items of one inode, seen in key order, against each other. What concerns other
// inodes goes to the Graph.
#pragma once

#include "tools/fsck/blob_check.h"
#include "tools/fsck/graph.h"

#include <optional>
#include <vector>

namespace daxpin::fsck {

// Tells names with equal hash apart; they stand next to each other in the tree.
class NameRun {
  public:
    void clear() { count_ = 0; }
    // False if the name was there already.
    bool add(std::uint64_t hash, std::string_view name);

  private:
    std::uint64_t hash_ = 0;
    std::size_t count_ = 0;
    std::vector<std::string> names_; // of hash_; the first count_
};

class InodeCheck {
  public:
    InodeCheck(Pass &pass, Graph &graph) : pass_(pass), graph_(graph) {}

    // Begins with the items of `number`. `gap`: some before them were lost.
    void begin(std::uint64_t number, bool gap);
    void item(const reader::Item &item, MediaBlock leaf);
    // Items from here on were lost.
    void gap() { gap_ = true; }
    void finish();

    std::uint64_t number() const { return number_; }
    // The number is not one that a file may have: all its items are to go.
    bool is_reserved() const;

  private:
    struct BlockRange {
        std::uint64_t first;
        std::uint64_t end;
    };

    void error(Subject subject, const std::string &text);
    // What is to be done about the last error: take an item out, or set a field of the inode.
    void drop(Stage stage, Subject subject, const reader::Key &key, const std::string &what);
    void set(Stage stage, Subject subject, InodeField field, std::uint64_t value,
             const std::string &what);
    void rehash(Subject subject, const reader::Key &key, std::uint64_t hash,
                const std::string &what);
    bool is(std::uint32_t type) const { return inode_ && (inode_->mode & 0170000) == type; }

    void inode(const reader::Item &item);
    void check_attributes();
    void check_mode();
    void make_inode();
    std::uint32_t likely_type() const;
    void entry(const reader::Item &item, MediaBlock leaf);
    void xattr(const reader::Item &item);
    void symlink(const reader::Item &item);
    void extent(const reader::Item &item);
    void cut_overlap(const reader::Key &key, const format::ExtentItem &extent);
    void extent_media(const reader::Key &key, MediaRun run);
    void join_pins(const reader::Key &key, std::uint64_t end);
    void pin(const reader::Item &item);
    void check_name(Subject subject, const reader::Key &key, std::string_view name);

    void finish_items();
    void finish_directory();
    void finish_file();
    void finish_pins();

    Pass &pass_;
    Graph &graph_;
    std::uint64_t number_ = ~std::uint64_t{0}; // none yet
    bool gap_ = false;
    bool orphan_reported_ = false;
    unsigned types_seen_ = 0; // a bit for each ItemType
    std::optional<format::InodeItem> inode_;
    std::uint64_t entries_ = 0;
    std::uint64_t subdirectories_ = 0;
    NameRun names_;
    std::optional<std::uint64_t> symlink_bytes_;
    std::uint64_t extent_blocks_ = 0;
    std::uint64_t extent_end_ = 0;
    std::vector<BlockRange> written_; // neighbours merged
    std::vector<BlockRange> pins_;
};

} // namespace daxpin::fsck
