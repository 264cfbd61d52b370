// SPDX-License-Identifier: BSD-3-Clause
//
// Graph: inodes and the entries that name them, collected while the tree is read and checked
// against each other at the end: targets, link counts, parents, reachability, unfinished work.
//
// Memory: about 60 bytes an inode and as many an entry.
#pragma once

#include "tools/fsck/pass.h"

#include <vector>

namespace daxpin::fsck {

class Graph {
  public:
    struct Entry {
        std::uint64_t directory;
        std::uint64_t place;
        std::uint64_t leaf; // MediaBlock of the tree node, to find the name again
        std::uint64_t target;
        std::uint64_t generation;
        std::uint32_t type; // DT_*
    };
    struct Unfinished {
        std::uint64_t inode;
        format::UnfinishedItem item;
    };

    // REQUIRES: numbers rise from call to call.
    void add_inode(std::uint64_t number, const format::InodeItem &item);
    void add_entry(const Entry &entry) { entries_.push_back(entry); }
    void add_unfinished(std::uint64_t inode, const format::UnfinishedItem &item) {
        unfinished_.push_back({inode, item});
    }

    // REQUIRES: all unfinished work was added; the tree has it before the inodes.
    bool is_being_removed(std::uint64_t inode) const;

    void check(Pass &pass);

    // Gives the findings about inodes a path, where entries lead to one. REQUIRES: check() done.
    void name_findings(const Pass &pass) const;

  private:
    enum class Reach : std::uint8_t { unknown, under_way, reached, lost };
    struct Inode {
        std::uint64_t number;
        std::uint64_t generation;
        std::uint64_t size;
        std::uint64_t parent;
        std::uint32_t mode;
        std::uint32_t link_count;
        std::uint32_t entries = 0;          // that name it
        const Entry *first_entry = nullptr; // directories: that counts
        bool being_removed = false;
        Reach reach = Reach::unknown;
    };

    Inode *find(std::uint64_t number);
    const Inode *find(std::uint64_t number) const;
    std::string path_of(const Pass &pass, std::uint64_t inode, const Entry *entry) const;
    void check_root(Pass &pass);
    void make_root(Pass &pass);
    void check_parent(Pass &pass, const Entry &entry, Inode &directory);
    void check_entry(Pass &pass, const Entry &entry);
    void check_unfinished(Pass &pass, const Unfinished &work);
    void check_links(Pass &pass, const Inode &inode);
    void check_reach(Pass &pass, Inode &directory);

    std::vector<Inode> inodes_;
    std::vector<Entry> entries_;
    std::vector<Unfinished> unfinished_;
    std::vector<Inode *> path_;
};

} // namespace daxpin::fsck
