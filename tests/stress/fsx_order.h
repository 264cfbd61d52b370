// SPDX-License-Identifier: BSD-3-Clause
//
// Order: one operation of fsx on its file, as it is planned, logged, sent to the second process
// and carried out. Plain data: it crosses a socket.
#pragma once

#include <cstdint>
#include <string>

namespace stress {

enum class Kind : std::uint32_t {
    read,
    write,
    mapped_read,
    mapped_write,
    truncate,
    allocate,
    punch,
    zero,
    copy,
    collapse,
    insert,
    sync,
    unmap,
    reopen,
    seek,
    check,
};
constexpr std::uint32_t kind_count = 16;
const char *name_of(Kind kind);

enum SyncMode { sync_file, sync_data, sync_mapping };

struct Order {
    std::uint64_t number = 0;
    Kind kind = Kind::read;
    std::uint32_t process = 0;    // 0: this one, 1: the helper
    std::uint32_t descriptor = 0; // 0: O_RDWR throughout, 1: reopened now and then
    std::int32_t mode = 0;        // truncate: by path; allocate, zero: keep size; sync: SyncMode;
                                  // reopen: flags of open(2)
    std::uint64_t offset = 0;
    std::uint64_t length = 0; // truncate: the new size
    std::uint64_t target = 0; // copy: where to; mapped_write: junk bytes behind the end of file
};

struct Answer {
    std::int64_t result = 0; // bytes, or -1
    std::int32_t error = 0;  // errno if -1
    std::int64_t size = 0;   // of the file afterwards
    std::int64_t data = 0;   // seek: the positions found, or -errno
    std::int64_t hole = 0;
    std::int64_t data_after_hole = 0;
};

std::string to_string(const Order &order);

// True if the order may have changed or shown bytes of [offset, offset + length).
bool touches(const Order &order, std::uint64_t offset, std::uint64_t length);

} // namespace stress
