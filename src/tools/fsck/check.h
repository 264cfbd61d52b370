// SPDX-License-Identifier: BSD-3-Clause
//
// check(): reads a whole volume and says what is wrong with it.
//
// A second reading of docs/format.md, independent of the engine: shares format/ and device/ with
// it and nothing else. Reads only; a journal that was not written home is replayed into memory,
// so the verdict is about the volume as the next mount will see it. Survives any image: what
// cannot be read or understood becomes a finding, time and memory are bounded by what the devices
// hold, recursion by the greatest height of a tree.
//
// No globals, no threads; several checks of different tables may run at once. The devices must
// not change meanwhile.
#pragma once

#include "base/env.h"
#include "device/device_table.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace daxpin::fsck {

// What a finding is about.
enum class Subject : std::uint8_t {
    media,        // a block cannot be read
    label,        // device labels, both copies
    superblock,   // both copies, and that they agree
    feature,      // feature bits or records this version does not know
    device_table, // labels, superblock and devices tell the same story
    tail_cell,    // the two copies of the journal's tail
    ring,         // records and damage beyond the last one
    node,         // tree: checksum, address, level, key order and ranges, heap
    bitmap,       // checksum, header, count, bits against what is reachable
    ownership,    // a block with two owners, or outside the device
    role,         // data on a metadata device or the reverse
    inode,        // attributes with impossible values, items without an inode
    directory,    // size, parents, cycles, unreachable directories
    entry,        // name, hash, target
    link_count,   // link counts against entries
    extent,       // order, overlap, flags, block counts
    pin,          // order, coverage, the whole-file flag
    unfinished,   // table of unfinished work
    bad_block,    // list of bad blocks
    quarantine,   // table of quarantined blocks
    blob,         // extended attributes and symbolic links
};
const char *to_string(Subject subject) noexcept;

enum class Severity : std::uint8_t {
    note, // legal after a crash; the next mount puts it right
    error // the volume is inconsistent or damaged
};

struct Finding {
    Subject subject;
    Severity severity;
    std::string text;        // one line that names the thing: "inode 17: link count 2, entries 1"
    std::uint64_t inode = 0; // that it is about, or whose entry; 0: none
    std::string path = {};   // one that leads to the inode, "/a/b"; empty if none was found
};

struct Fixes;

struct CheckOptions {
    bool replay = true;              // false: look at the homes alone
    std::size_t findings_max = 1000; // findings kept; all are counted
    // Called now and then with the part done, 0 .. 1; false cancels the check.
    std::function<bool(double done)> progress = {};
    Fixes *fixes = nullptr; // where to put what is to be done about the findings (fixes.h)
    // The running boot: what is in quarantine since another one is to be emptied.
    std::optional<BootId> boot = {};
};

struct Counts {
    std::uint64_t records_replayed = 0;
    std::uint64_t nodes = 0; // of the tree
    std::uint64_t inodes = 0;
    std::uint64_t directories = 0;
    std::uint64_t entries = 0; // of directories
    std::uint64_t extents = 0;
    std::uint64_t unfinished = 0; // deletions and truncations to be resumed
    std::uint64_t bad_blocks = 0; // on the list of bad blocks
    std::uint64_t quarantined_blocks = 0;
    std::uint64_t metadata_blocks = 0; // in use, labels and ring included
    std::uint64_t data_blocks = 0;     // in use, quarantined ones included
    std::uint64_t free_blocks = 0;
};

struct Report {
    std::vector<Finding> findings;
    std::uint64_t errors = 0;
    std::uint64_t notes = 0;
    bool cancelled = false;
    Counts counts;

    // Nothing to repair. Notes do not count; the crash suite wants none after a recovery.
    bool clean() const { return errors == 0 && !cancelled; }
};

Report check(const device::DeviceTable &devices, const CheckOptions &options = {});

} // namespace daxpin::fsck
