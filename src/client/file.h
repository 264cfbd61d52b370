// SPDX-License-Identifier: BSD-3-Clause
//
// A file of the filesystem as the daemon knows it: leases, extents, devices.
//
// A lease is taken through an open file description of our own, opened anew from the caller's
// descriptor, so that it ends with the mappings and not with the caller's habits; apart.h says
// where. Protocol: daxpin-ioctl(2).
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <cstdint>
#include <daxpin/ioctl.h>
#include <string>
#include <sys/types.h>
#include <vector>

namespace daxpin::client {

// Which bytes of which file, and how they may be used.
struct FileRange {
    dev_t mount = 0;
    ino_t inode = 0;
    bool writable = false;
    bool whole = false;       // asked for from the start to the end
    std::uint64_t offset = 0; // bytes, a multiple of the block size
    std::uint64_t length = 0; // bytes
    std::uint64_t end() const { return offset + length; }
};

// What `fd` and a caller's numbers mean; length 0 = to the end of the file.
// ERRORS: not_a_tty, bad_handle, invalid if the range is not within the file.
Result<FileRange> resolve_range(int fd, std::uint64_t offset, std::uint64_t length);

struct LeasedFile {
    UniqueFd fd; // the lease lives as long as this open file description
    daxpin_generation generation{};
    std::uint64_t lease = 0; // its id
};

// What to say of a failure that may come of a file that is none of ours: then not_a_tty, which
// costs a request to find out, else the failure.
Error unless_foreign(int fd, Error failure);

// Leases the range of the file that `path` leads to, which is open by nobody else as we do.
// ERRORS: see daxpin_map_new().
Result<LeasedFile> lease_file(const std::string &path, const FileRange &range, bool prepare);

// Prepares the range by the caller's own descriptor, under a lease that is gone again on return:
// this may take long, and only who asks himself is interrupted by his signals.
// ERRORS: see daxpin_map_new().
Result<void> prepare_range(int fd, const FileRange &range);

// The extents from the start of the leased range to its end or beyond, in order, without a gap,
// neighbours joined. ERRORS: stale if the map changed meanwhile; invalid for a hole.
Result<std::vector<daxpin_extent>> leased_extents(const LeasedFile &file, const FileRange &range);

Result<daxpin_file_status> status_of(int fd);

// ERRORS: stale if the file's map is of another generation by now.
Result<void> check_generation(int fd, const daxpin_generation &generation);

// Whether a lease of the file was asked back and lives; true also if that cannot be told.
bool is_asked_back(int fd);

Result<daxpin_device> device_of(const LeasedFile &file, unsigned index);

// After EXTEND, of which the kernel knows nothing: until it has asked for the size it appends at
// the old end, and takes what lies behind that for no part of the file.
void let_kernel_see_size(int fd);

// Why a request of `fd` met ENOTTY: not_a_tty if the filesystem is none of ours, unsupported if its
// daemon is of another version.
Error unknown_request(int fd);

// ioctl() with a line of text for what people meet; `what` could not be done.
Result<void> request(int fd, unsigned long command, void *argument, const char *what);

} // namespace daxpin::client
