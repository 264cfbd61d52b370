// SPDX-License-Identifier: BSD-3-Clause
//
// Oracle: a filesystem in a few hundred lines of ordinary containers, written from POSIX and
// docs/pinning.md and from nothing of the engine. What it says is right.
#pragma once

#include "crash/access_list.h"
#include "crash/dump.h"
#include "crash/operation.h"

#include <memory>
#include <optional>

namespace daxpin::crash {

struct OracleFile {
    std::uint32_t mode = 0;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t rdev = 0;
    std::uint32_t flags = 0;
    std::uint64_t align_hint = 0;
    std::uint32_t names =
        0; // entries that lead here; a directory's link count is 2 + subdirectories
    std::map<std::string, Bytes> xattrs;
    std::map<std::string, AccessList> lists;
    bool linkable = false; // made without a name: link() may give it one
    std::string target;
    Bytes data;
    std::set<std::uint64_t> lost; // blocks with a media error
    bool pinned_whole = false;
    std::set<std::uint64_t> pinned;                 // file blocks
    std::set<std::string> write_leases;             // of the whole file, by slot
    std::optional<std::int64_t> atime_ns, mtime_ns; // where an operation set them
    std::map<std::string, std::shared_ptr<OracleFile>> entries;

    bool is_directory() const { return mode >> 12 == 004; }
};

class Oracle {
  public:
    Oracle();
    Oracle(const Oracle &other); // shares nothing with the other one
    Oracle &operator=(const Oracle &other);
    Oracle(Oracle &&other) noexcept = default;
    Oracle &operator=(Oracle &&other) noexcept = default;

    // Performs the operation; `outcome` is what the volume answered. Returns what is wrong with
    // that answer, empty if nothing. An answer of no_space is believed: nothing changes.
    std::string apply(const Operation &operation, const Result<std::uint64_t> &outcome);

    // Performs the operation; returns what the volume must answer. `count`: bytes that a write or
    // copy takes.
    Result<void> perform(const Operation &operation, std::uint64_t count);

    // What there is at a path. No size: nothing.
    std::optional<std::uint64_t> size_of(const std::string &path) const;
    bool is_directory(const std::string &path) const;
    std::vector<std::string> children(const std::string &path) const;

    // The first way in which `dump` differs from what should be there, empty if none. `data`
    // false: the content of files is left out.
    std::string difference(const Dump &dump, bool data = true) const;
    // The content of a file, null if there is none of that path.
    const Bytes *data(const std::string &path) const;

  private:
    using File = std::shared_ptr<OracleFile>;
    struct Place {
        OracleFile *directory = nullptr;
        std::string name;
        File file; // null if there is no such entry
    };
    File find(const std::string &path) const;
    Place place(const std::string &path) const;
    Result<void> make(const Operation &operation);
    Result<void> remove(const Operation &operation);
    Result<void> rename(const Operation &operation);
    Result<void> change(const Operation &operation);
    Result<void> change_data(const Operation &operation, std::uint64_t count);
    std::string compare(const std::string &path, const OracleFile &file, const Dump &dump,
                        bool data, std::map<const OracleFile *, std::uint64_t> &numbers) const;

    File root_;
    std::map<std::string, File> slots_;
};

} // namespace daxpin::crash
