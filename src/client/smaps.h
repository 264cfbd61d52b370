// SPDX-License-Identifier: BSD-3-Clause
//
// The mappings of a process, as /proc/PID/smaps lists them: proc(5).
#pragma once

#include <cstdint>
#include <istream>
#include <string>
#include <sys/types.h>
#include <vector>

namespace daxpin::client {

struct Vma {
    std::uint64_t start = 0; // addresses
    std::uint64_t end = 0;
    bool readable = false;
    bool writable = false;
    bool shared = false;
    std::uint64_t offset = 0;       // bytes, in the file
    dev_t device = 0;               // of the filesystem that the file is on
    ino_t inode = 0;                // 0: no file
    std::string path;               // or "[heap]" and the like, or nothing
    bool synchronous = false;       // MAP_SYNC
    std::uint64_t page_size = 4096; // bytes; of the largest page that maps a part of it now
};

// In ascending order; unknown lines and fields are skipped.
std::vector<Vma> parse_smaps(std::istream &text);

} // namespace daxpin::client
