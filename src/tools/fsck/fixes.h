// SPDX-License-Identifier: BSD-3-Clause
//
// Fixes: what a check would have done about what it found. The check only says so; tools/repair
// does it, through the engine's transactions.
//
// Fixes have stages, because what one finds depends on what those before put right: only the
// fixes of the earliest stage at which there is one are kept. Whoever has done these checks again.
#pragma once

#include "tools/fsck/check.h"
#include "tools/fsck/owner_map.h"
#include "tools/reader/tree_walk.h"

#include <optional>
#include <utility>
#include <variant>

namespace daxpin::fsck {

enum class Stage : std::uint8_t {
    copies,  // of labels and superblock
    ring,    // tail cells and records
    flips,   // single bits of checked units, found by their checksum
    bitmaps, // nothing in use is marked free: from here on blocks can be allocated
    nodes,   // of the tree
    inodes,  // which there are, and of which type
    items,   // of one inode, against each other
    names,   // entries against inodes
    counts,  // what follows from the rest; inodes without a name
    leaks    // blocks marked in use that are nobody's
};

using ItemBytes = std::vector<std::byte>;

struct FixCopies { // the better copy rules
    unsigned device;
    bool of_superblock; // else: of the label
};
struct FixRing {
    bool damaged; // else: what a recovery does is enough
};
struct FixFlip {
    MediaBlock unit;
    std::size_t bit; // of its 32768
};
struct FixChunk {
    unsigned device;
    std::uint64_t group;
    GroupBits in_use; // blocks beyond the device included
};
struct FixNode { // cannot be used, and what is below it is not reached
    reader::NodePlace place;
    bool readable;
    bool own; // the block is no one else's
};
struct FixItems { // in one transaction
    std::vector<reader::Key> erase;
    std::vector<std::pair<reader::Key, ItemBytes>> put; // inserted or replaced
};
struct FixRehash { // moves a named item to where its name belongs; drops it if the name is there
    reader::Key key;
    std::uint64_t hash;
};
struct FixRemoval { // takes all items of an inode out
    std::uint64_t inode;
};
enum class InodeField : std::uint8_t {
    generation,
    mode,
    link_count,
    size,
    block_count,
    flags,
    parent,
    align_hint
};
struct FixInode {
    std::uint64_t inode;
    InodeField field;
    std::uint64_t value;
};
struct FixEntryType {
    reader::Key key;
    std::uint32_t type; // DT_*
};
struct FixLost { // gives it a name in lost+found
    std::uint64_t inode;
    std::optional<reader::Key> entry; // that it has now, to be taken away
};

using How = std::variant<FixCopies, FixRing, FixFlip, FixChunk, FixNode, FixItems, FixRehash,
                         FixRemoval, FixInode, FixEntryType, FixLost>;

struct Fix {
    Stage stage;
    bool safe; // loses no name and no byte: for unattended repair
    Subject subject;
    std::string text; // what was done, once it is: "inode 17: link count set to 2"
    How how;
};

struct Fixes {
    static constexpr std::size_t kept_max =
        100'000; // of a stage; the rest comes with the next check

    std::vector<Fix> kept;           // all of one stage
    std::uint64_t unsafe = 0;        // of all stages
    std::optional<OwnerMap> reached; // blocks that somebody owns
    std::vector<MediaRun> contested; // data is on one side at least
    std::vector<MediaRun> not_units; // blocks that records name and must not

    void add(Fix fix) {
        unsafe += fix.safe ? 0 : 1;
        if (!kept.empty() && fix.stage > kept.front().stage)
            return;
        if (!kept.empty() && fix.stage < kept.front().stage)
            kept.clear();
        if (kept.size() < kept_max)
            kept.push_back(std::move(fix));
    }
};

} // namespace daxpin::fsck
