// SPDX-License-Identifier: BSD-3-Clause
//
// Dump: everything a user can see of a volume, in a form that can be compared.
//
// Left out: block counts, free counts, lease marks. Taking a dump changes nothing, times included
// (the volume is open with Atime::none, and no file is opened).
#pragma once

#include "volume/volume.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace daxpin::crash {

using Bytes = std::vector<std::byte>;

struct DumpFile {
    volume::Attributes attributes; // block_count and lease_boot are zero
    std::map<std::string, Bytes> xattrs;
    std::string target;           // symbolic links
    Bytes data;                   // regular files; zeros where it is lost
    std::set<std::uint64_t> lost; // blocks of the file that cannot be read
    bool pinned_whole = false;
    std::uint64_t pinned_bytes = 0;
};

struct Dump {
    std::map<std::string, std::uint64_t> names; // path -> inode number; "" is the root
    std::map<std::uint64_t, DumpFile> files;
    std::set<std::uint64_t> data_blocks; // MediaBlock values that the files own; not compared
};

// Appends what the kernel would copy from the media for a reader; false if it cannot.
bool copy_reply(volume::Volume &volume, const volume::ReadReply &reply, Bytes &data);

// ERRORS: those of the volume; corrupt with a text if what it says does not fit together.
Result<Dump> take_dump(volume::Volume &volume);

// The first difference in one line, empty if there is none. `data` false: file data left out.
std::string difference(const Dump &one, const Dump &other, bool data = true);

// The same of one file.
std::string difference(const DumpFile &one, const DumpFile &other, bool data);

// Equal dumps have equal hashes. `data` false: file data left out.
std::uint64_t hash_of(const Dump &dump, bool data);

} // namespace daxpin::crash
