// SPDX-License-Identifier: BSD-3-Clause
#include "tools/fsck/graph.h"

#include "tools/reader/node.h"

#include <algorithm>
#include <optional>
#include <sys/stat.h>
#include <unordered_map>
#include <utility>

namespace daxpin::fsck {
namespace {

// The generation of inodes that were made for items that had lost theirs; no other has it.
constexpr std::uint64_t generation_unknown = 0;

std::string inode_name(std::uint64_t number) {
    return "inode " + std::to_string(number);
}

reader::Key key_of(std::uint64_t inode, format::ItemType type, std::uint64_t offset = 0) {
    return {inode, std::uint64_t{static_cast<std::uint8_t>(type)} << 60 | offset};
}

reader::Key key_of(const Graph::Entry &entry) {
    return {entry.directory, entry.place};
}

// The name of an entry, read again, for the sake of memory. Nothing if it cannot be.
std::optional<std::string> name_of(const Pass &pass, const Graph::Entry &entry) {
    reader::UnitBytes bytes;
    if (!pass.view.read(MediaBlock{entry.leaf}, bytes))
        return std::nullopt;
    const reader::Node leaf(bytes);
    for (unsigned i = 0; i < leaf.count(); ++i) {
        const auto item = leaf.item(i);
        if (item.key != reader::Key{entry.directory, entry.place})
            continue;
        const auto name = item.value.subspan(sizeof(format::DirentItem));
        return reader::printable({reinterpret_cast<const char *>(name.data()), name.size()});
    }
    return std::nullopt;
}

// "directory 16, entry 'name'"
std::string entry_name(const Pass &pass, const Graph::Entry &entry) {
    const auto name = name_of(pass, entry);
    return "directory " + std::to_string(entry.directory) +
           (name ? ", entry '" + *name + "'" : std::string());
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

bool Graph::is_being_removed(std::uint64_t inode) const {
    const auto found = std::ranges::lower_bound(unfinished_, inode, {}, &Unfinished::inode);
    return found != unfinished_.end() && found->inode == inode &&
           found->item.kind == static_cast<std::uint32_t>(format::UnfinishedKind::remove);
}

const Graph::Inode *Graph::find(std::uint64_t number) const {
    const auto found = std::ranges::lower_bound(inodes_, number, {}, &Inode::number);
    return found != inodes_.end() && found->number == number ? &*found : nullptr;
}

Graph::Inode *Graph::find(std::uint64_t number) {
    return const_cast<Inode *>(std::as_const(*this).find(number));
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
    pass.findings.about(format::root_inode);
    Inode *root = find(format::root_inode);
    if (root == nullptr) {
        if (!pass.incomplete)
            make_root(pass);
        return;
    }
    root->reach = Reach::reached;
    if (!S_ISDIR(root->mode)) {
        pass.findings.error(Subject::inode, "inode 1, the root, is not a directory");
        pass.findings.fix(Stage::inodes, Subject::inode, "inode 1, the root, is a directory again",
                          FixInode{format::root_inode, InodeField::mode, S_IFDIR | 0755});
    } else if (root->parent != format::root_inode) {
        pass.findings.error(Subject::directory,
                            "inode 1, the root, has parent " + std::to_string(root->parent));
        pass.findings.safe_fix(
            Stage::counts, Subject::directory, "inode 1, the root, is its own parent again",
            FixInode{format::root_inode, InodeField::parent, format::root_inode});
    }
}

void Graph::make_root(Pass &pass) {
    pass.findings.error(Subject::inode, "the root directory is missing");
    format::InodeItem item{};
    item.generation = 1;
    item.mode = S_IFDIR | 0755;
    item.link_count = 2;
    item.parent = format::root_inode;
    pass.findings.fix(
        Stage::inodes, Subject::inode, "root directory made anew",
        FixItems{{}, {{key_of(format::root_inode, format::ItemType::inode), item_bytes(item)}}});
}

void Graph::check_entry(Pass &pass, const Entry &entry) {
    pass.findings.about(entry.directory);
    const auto report = [&](Subject subject, const std::string &text) {
        pass.findings.error(subject, entry_name(pass, entry) + ": " + text);
    };
    const auto drop = [&](Subject subject) {
        pass.findings.fix(Stage::names, subject, entry_name(pass, entry) + " removed",
                          FixItems{{key_of(entry)}, {}});
    };
    Inode *target = find(entry.target);
    if (target == nullptr) {
        if (pass.incomplete)
            return;
        report(Subject::entry,
               "leads to inode " + std::to_string(entry.target) + ", which does not exist");
        return drop(Subject::entry);
    }
    ++target->entries;
    if (target->generation != entry.generation) {
        report(Subject::entry, "another generation than inode " + std::to_string(entry.target));
        if (target->generation != generation_unknown)
            drop(Subject::entry);
        else
            pass.findings.fix(Stage::names, Subject::entry,
                              entry_name(pass, entry) + " leads to it again",
                              FixInode{entry.target, InodeField::generation, entry.generation});
    }
    if (target->mode >> 12 != entry.type) {
        report(Subject::entry, "another type than inode " + std::to_string(entry.target));
        pass.findings.safe_fix(Stage::counts, Subject::entry,
                               entry_name(pass, entry) + " has its inode's type",
                               FixEntryType{key_of(entry), target->mode >> 12});
    }
    if (entry.target == format::root_inode)
        return drop(Subject::entry); // reported with the root's links
    if (S_ISDIR(target->mode))
        check_parent(pass, entry, *target);
}

// A directory has one name, in the directory that is its parent.
void Graph::check_parent(Pass &pass, const Entry &entry, Inode &directory) {
    const std::string name = "directory " + std::to_string(directory.number);
    if (directory.entries > 1) {
        // The one that its parent field speaks for stays, else the first.
        const bool later = entry.directory == directory.parent &&
                           directory.first_entry->directory != directory.parent;
        const Entry &lost = later ? *directory.first_entry : entry;
        if (later)
            directory.first_entry = &entry;
        pass.findings.error(Subject::directory,
                            entry_name(pass, entry) + ": a second entry for " + name);
        return pass.findings.fix(Stage::names, Subject::directory,
                                 entry_name(pass, lost) + " removed", FixItems{{key_of(lost)}, {}});
    }
    directory.first_entry = &entry;
    if (directory.parent == entry.directory)
        return;
    pass.findings.error(Subject::directory, entry_name(pass, entry) + ": " + name +
                                                " says that its parent is " +
                                                std::to_string(directory.parent));
    pass.findings.safe_fix(Stage::counts, Subject::directory,
                           name + ": parent set to " + std::to_string(entry.directory),
                           FixInode{directory.number, InodeField::parent, entry.directory});
}

void Graph::check_unfinished(Pass &pass, const Unfinished &work) {
    const std::string name = "unfinished work on " + inode_name(work.inode);
    const auto key = key_of(format::unfinished_table, format::ItemType::unfinished, work.inode);
    const auto report = [&](const std::string &text) {
        pass.findings.error(Subject::unfinished, name + ": " + text);
    };
    const auto drop = [&] {
        pass.findings.safe_fix(Stage::counts, Subject::unfinished, name + " taken out",
                               FixItems{{key}, {}});
    };
    const auto put = [&](const format::UnfinishedItem &item) {
        pass.findings.safe_fix(Stage::counts, Subject::unfinished, name + " put right",
                               FixItems{{}, {{key, item_bytes(item)}}});
    };
    pass.findings.about(work.inode);
    Inode *inode = find(work.inode);
    if (inode == nullptr) {
        if (pass.incomplete)
            return;
        report("there is no such inode");
        return drop();
    }
    auto right = work.item;
    right.generation = inode->generation;
    const bool same_generation = inode->generation == work.item.generation;
    if (!same_generation) {
        report("another generation");
        inode->link_count == 0 ? put(right) : drop();
    }
    switch (static_cast<format::UnfinishedKind>(work.item.kind.get())) {
    case format::UnfinishedKind::remove:
        inode->being_removed = true;
        if (inode->link_count == 0)
            return;
        report("it is to be removed but has link count " + std::to_string(inode->link_count));
        return drop();
    case format::UnfinishedKind::truncate:
        if (!S_ISREG(inode->mode)) {
            report("it is to be truncated but is not a regular file");
            drop();
        } else if (work.item.from_block < blocks_of(inode->size)) {
            report("its truncation would free blocks before its end");
            right.from_block = blocks_of(inode->size);
            if (same_generation)
                put(right);
        }
        return;
    }
    report("unknown kind " + std::to_string(work.item.kind));
    drop();
}

void Graph::check_links(Pass &pass, const Inode &inode) {
    const bool directory = S_ISDIR(inode.mode);
    const std::string name = inode_name(inode.number);
    pass.findings.about(inode.number);
    if (inode.link_count == 0 && !inode.being_removed)
        pass.findings.error(Subject::unfinished,
                            name + ": has no link and is not in the table of unfinished work");
    const bool root = inode.number == format::root_inode;
    if (root) {
        if (inode.entries != 0)
            pass.findings.error(Subject::entry, "an entry leads to the root directory");
        return;
    }
    // A directory's link count is checked against its subdirectories; it has one entry itself.
    const std::uint32_t expected = directory ? (inode.link_count == 0 ? 0 : 1) : inode.link_count;
    if (inode.entries != expected)
        pass.findings.error(Subject::link_count,
                            name + ": link count " + std::to_string(inode.link_count) +
                                ", entries that lead to it " + std::to_string(inode.entries));
    if (inode.entries == 0) {
        if (!inode.being_removed || inode.link_count != 0)
            pass.findings.fix(Stage::counts, Subject::link_count,
                              name + " has a name in lost+found", FixLost{inode.number, {}});
        return;
    }
    if (inode.link_count == 0 && inode.being_removed)
        pass.findings.safe_fix(
            Stage::counts, Subject::unfinished, name + " stays, it has a name",
            FixItems{{key_of(format::unfinished_table, format::ItemType::unfinished, inode.number)},
                     {}});
    if (inode.entries != expected || inode.link_count == 0) {
        const std::uint32_t count = directory ? 2 : inode.entries;
        if (!directory || inode.link_count == 0)
            pass.findings.safe_fix(Stage::counts, Subject::link_count,
                                   name + ": link count set to " + std::to_string(count),
                                   FixInode{inode.number, InodeField::link_count, count});
    }
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
    if (reached || path_.empty())
        return;
    const std::string name = "directory " + std::to_string(directory.number);
    pass.findings.about(directory.number);
    pass.findings.error(Subject::directory, name + (cycle ? ": its parents form a cycle"
                                                          : ": cannot be reached from the root"));
    if (cycle && at->first_entry != nullptr)
        pass.findings.fix(Stage::counts, Subject::directory,
                          "directory " + std::to_string(at->number) + " moved to lost+found",
                          FixLost{at->number, key_of(*at->first_entry)});
}

// Up from `entry`, which leads to `inode`: a directory has one name.
std::string Graph::path_of(const Pass &pass, std::uint64_t inode, const Entry *entry) const {
    constexpr unsigned depth_max = 4096; // parents that form a circle lead nowhere
    if (inode == format::root_inode)
        return "/";
    std::string path;
    for (unsigned depth = 0; entry != nullptr && depth < depth_max; ++depth) {
        const auto name = name_of(pass, *entry);
        if (!name)
            return {};
        path.insert(0, "/" + *name);
        if (entry->directory == format::root_inode)
            return path;
        const Inode *above = find(entry->directory);
        entry = above != nullptr ? above->first_entry : nullptr;
    }
    return {};
}

void Graph::name_findings(const Pass &pass) const {
    std::unordered_map<std::uint64_t, const Entry *> wanted;
    for (const auto &finding : pass.report.findings)
        if (finding.inode != 0)
            wanted.emplace(finding.inode, nullptr);
    if (wanted.empty())
        return;
    for (const auto &entry : entries_)
        if (const auto found = wanted.find(entry.target);
            found != wanted.end() && found->second == nullptr)
            found->second = &entry;
    for (auto &finding : pass.report.findings)
        if (finding.inode != 0)
            finding.path = path_of(pass, finding.inode, wanted.at(finding.inode));
}

} // namespace daxpin::fsck
