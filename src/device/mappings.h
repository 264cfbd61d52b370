// SPDX-License-Identifier: BSD-3-Clause
//
// MappingScan: which parts of some files or devices any process maps, as /proc tells.
//
// A mapping is inherited by fork and by nothing else: a process that was looked into and had none
// gets none. So a scan goes on until it finds nobody whom it has not looked into, those that came
// up meanwhile included. Two of them, one after the other, for the list of processes is not read
// at one moment. It is complete only if the caller may look into every process: in the first
// process and user namespaces, with CAP_SYS_PTRACE. Not thread-safe.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <sys/types.h>
#include <vector>

namespace daxpin::device {

struct MappableFile {
    dev_t filesystem = 0; // st_dev
    ino_t inode = 0;      // st_ino
    dev_t character = 0;  // st_rdev of a character device, which may have other nodes; or 0
};

// ERRORS: as stat(2).
Result<MappableFile> mappable_file(const std::string &path);

struct MappedRange {
    std::size_t file = 0; // index
    std::uint64_t offset = 0;
    std::uint64_t length = 0; // bytes
    bool operator==(const MappedRange &) const = default;
};

class MappingScan {
  public:
    // `proc` is where procfs is mounted. What process `self` maps does not count, but it must map
    // something of each file: there are filesystems whose files show other numbers in /proc than
    // stat(2) tells, and what cannot be recognized there cannot be anywhere else.
    MappingScan(std::string proc, std::vector<MappableFile> files, pid_t self)
        : proc_(std::move(proc)), files_(std::move(files)), self_(self) {}

    // Two scans. ERRORS: access if not every process can be looked into, or a file not recognized;
    // busy if processes come up faster than it can look, or something else was in the way that may
    // be gone the next time.
    Result<std::vector<MappedRange>> mapped();

  private:
    // A process is its number and the time it was started.
    using Processes = std::set<std::pair<std::string, std::string>>;
    using FileKey = std::pair<dev_t, ino_t>;
    static constexpr std::size_t other_file = SIZE_MAX;

    Result<void> check_privilege() const;
    Result<void> check_recognized();
    Result<Processes> list() const;
    Result<void> scan(std::vector<MappedRange> &found);
    Result<void> scan_process(const std::string &pid, std::vector<MappedRange> &found);
    Result<void> scan_once(const std::string &pid, std::vector<MappedRange> &found); // stale: again
    Result<bool> scan_maps(const std::string &process, std::vector<MappedRange> &found);
    Result<void> scan_line(const std::string &process, const std::string &line,
                           std::vector<MappedRange> &found);
    std::size_t file_of(FileKey key) const;
    Result<std::size_t> device_of(FileKey key, const std::string &map_file);

    const std::string proc_;
    const std::vector<MappableFile> files_;
    const pid_t self_;
    std::map<FileKey, std::size_t> known_; // other nodes of character devices, and what is none
};

} // namespace daxpin::device
