// SPDX-License-Identifier: BSD-3-Clause
#include "tools/fsck/graph.h"

#include "tools/reader/node.h"

#include <algorithm>
#include <sys/stat.h>

namespace daxpin::fsck {
namespace {

std::string inode_name(std::uint64_t number) {
    return "inode " + std::to_string(number);
}

// "directory 16, entry 'name'": the name is read again, for the sake of memory.
std::string entry_name(const Pass &pass, const Graph::Entry &entry) {
    std::string text = "directory " + std::to_string(entry.directory);
    reader::UnitBytes bytes;
    if (!pass.view.read(MediaBlock{entry.leaf}, bytes))
        return text;
    const reader::Node leaf(bytes);
    for (unsigned i = 0; i < leaf.count(); ++i) {
        const auto item = leaf.item(i);
        if (item.key != reader::Key{entry.directory, entry.place})
            continue;
        const auto name = item.value.subspan(sizeof(format::DirentItem));
        return text + ", entry '" +
               reader::printable({reinterpret_cast<const char *>(name.data()), name.size()}) + "'";
    }
    return text;
}

std::uint64_t blocks_of(std::uint64_t bytes) {
    return bytes / block_size + (bytes % block_size != 0);
}

} // namespace

void Graph::add_inode(std::uint64_t number, const format::InodeItem &item) {
    Inode inode{};
    inode.number = number;
    inode.generation = item.generation;
    inode.size = item.size;
    inode.parent = item.parent;
    inode.mode = item.mode;
    inode.link_count = item.link_count;
    inodes_.push_back(inode);
}

Graph::Inode *Graph::find(std::uint64_t number) {
    const auto found = std::ranges::lower_bound(inodes_, number, {}, &Inode::number);
    return found != inodes_.end() && found->number == number ? &*found : nullptr;
}

void Graph::check(Pass &pass) {
    check_root(pass);
    for (const auto &entry : entries_)
        check_entry(pass, entry);
    for (const auto &work : unfinished_)
        check_unfinished(pass, work);
    if (pass.incomplete)
        return;
    for (const auto &inode : inodes_)
        check_links(pass, inode);
    for (auto &inode : inodes_)
        if (S_ISDIR(inode.mode) && inode.link_count != 0)
            check_reach(pass, inode);
}

void Graph::check_root(Pass &pass) {
    Inode *root = find(format::root_inode);
    if (root == nullptr) {
        if (!pass.incomplete)
            pass.findings.error(Subject::inode, "the root directory is missing");
        return;
    }
    root->reach = Reach::reached;
    if (!S_ISDIR(root->mode))
        pass.findings.error(Subject::inode, "inode 1, the root, is not a directory");
    else if (root->parent != format::root_inode)
        pass.findings.error(Subject::directory,
                            "inode 1, the root, has parent " + std::to_string(root->parent));
}

void Graph::check_entry(Pass &pass, const Entry &entry) {
    const auto report = [&](Subject subject, const std::string &text) {
        pass.findings.error(subject, entry_name(pass, entry) + ": " + text);
    };
    Inode *target = find(entry.target);
    if (target == nullptr) {
        if (!pass.incomplete)
            report(Subject::entry,
                   "leads to inode " + std::to_string(entry.target) + ", which does not exist");
        return;
    }
    ++target->entries;
    if (target->generation != entry.generation)
        report(Subject::entry, "another generation than inode " + std::to_string(entry.target));
    if (target->mode >> 12 != entry.type)
        report(Subject::entry, "another type than inode " + std::to_string(entry.target));
    if (!S_ISDIR(target->mode))
        return;
    if (target->entries > 1)
        report(Subject::directory, "a second entry for directory " + std::to_string(entry.target));
    else if (target->parent != entry.directory)
        report(Subject::directory, "directory " + std::to_string(entry.target) +
                                       " says that its parent is " +
                                       std::to_string(target->parent));
}

void Graph::check_unfinished(Pass &pass, const Unfinished &work) {
    const auto report = [&](const std::string &text) {
        pass.findings.error(Subject::unfinished,
                            "unfinished work on " + inode_name(work.inode) + ": " + text);
    };
    Inode *inode = find(work.inode);
    if (inode == nullptr) {
        if (!pass.incomplete)
            report("there is no such inode");
        return;
    }
    if (inode->generation != work.item.generation)
        report("another generation");
    switch (static_cast<format::UnfinishedKind>(work.item.kind.get())) {
    case format::UnfinishedKind::remove:
        inode->being_removed = true;
        if (inode->link_count != 0)
            report("it is to be removed but has link count " + std::to_string(inode->link_count));
        break;
    case format::UnfinishedKind::truncate:
        if (!S_ISREG(inode->mode))
            report("it is to be truncated but is not a regular file");
        else if (work.item.from_block < blocks_of(inode->size))
            report("its truncation would free blocks before its end");
        break;
    default:
        report("unknown kind " + std::to_string(work.item.kind));
    }
}

void Graph::check_links(Pass &pass, const Inode &inode) {
    const bool directory = S_ISDIR(inode.mode);
    if (inode.link_count == 0 && !inode.being_removed)
        pass.findings.error(Subject::unfinished,
                            inode_name(inode.number) +
                                ": has no link and is not in the table of unfinished work");
    const bool root = inode.number == format::root_inode;
    if (root && inode.entries != 0)
        pass.findings.error(Subject::entry, "an entry leads to the root directory");
    // A directory's link count is checked against its subdirectories; it has one entry itself.
    const std::uint32_t expected =
        directory ? (inode.link_count == 0 || root ? 0 : 1) : inode.link_count;
    if (inode.entries != expected && !root)
        pass.findings.error(Subject::link_count, inode_name(inode.number) + ": link count " +
                                                     std::to_string(inode.link_count) +
                                                     ", entries that lead to it " +
                                                     std::to_string(inode.entries));
}

// Follows parents until one is known; what was passed on the way shares its fate.
void Graph::check_reach(Pass &pass, Inode &directory) {
    path_.clear();
    Inode *at = &directory;
    while (at != nullptr && at->reach == Reach::unknown) {
        at->reach = Reach::under_way;
        path_.push_back(at);
        at = find(at->parent);
        if (at != nullptr && !S_ISDIR(at->mode))
            at = nullptr;
    }
    const bool cycle = at != nullptr && at->reach == Reach::under_way;
    const bool reached = at != nullptr && at->reach == Reach::reached;
    for (Inode *passed : path_)
        passed->reach = reached ? Reach::reached : Reach::lost;
    if (!reached && !path_.empty())
        pass.findings.error(Subject::directory, "directory " + std::to_string(directory.number) +
                                                    (cycle ? ": its parents form a cycle"
                                                           : ": cannot be reached from the root"));
}

} // namespace daxpin::fsck
