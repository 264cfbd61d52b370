// SPDX-License-Identifier: BSD-3-Clause
//
// The ioctls: include/daxpin/ioctl.h, chattr's, and the mount helper's (wire/control.h).
//
// An ioctl that FUSE passes on is a number and a structure of the size that the number names.
// Each is checked before anything else: unknown number not_a_tty, a size that is not the
// structure's, a flag without a name or a reserved byte that is not zero: invalid.
#pragma once

#include "fusefs/filesystem.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace daxpin::fusefs {

struct IoctlRequest {
    InodeNumber inode;
    volume::Handle handle = 0; // 0 = a directory's
    unsigned command = 0;
    std::span<const std::byte> in;
    std::size_t out_bytes = 0; // room for the answer
};

// The bytes of the answer; empty for ioctls that only write.
using IoctlAnswer = Result<std::vector<std::byte>>;

// Each answers its own numbers and refuses the others with not_a_tty.
IoctlAnswer pin_ioctl(Filesystem &fs, const volume::Caller &caller, const IoctlRequest &request);
IoctlAnswer lease_ioctl(Filesystem &fs, const volume::Caller &caller, const IoctlRequest &request);
IoctlAnswer flags_ioctl(Filesystem &fs, const volume::Caller &caller, const IoctlRequest &request);
IoctlAnswer lease_list_ioctl(Filesystem &fs, const volume::Caller &caller,
                             const IoctlRequest &request);
IoctlAnswer bad_block_ioctl(Filesystem &fs, const volume::Caller &caller,
                            const IoctlRequest &request);
IoctlAnswer control_ioctl(Filesystem &fs, const volume::Caller &caller,
                          const IoctlRequest &request);

// Whether it sets +i or +a: what was stored through mappings before must have gone home by then.
bool freezes_content(const IoctlRequest &request);

// Asks whose number it is.
IoctlAnswer answer_ioctl(Filesystem &fs, const volume::Caller &caller, const IoctlRequest &request);

// Helpers for them.

template <typename T> Result<T> ioctl_in(const IoctlRequest &request) {
    if (request.in.size() != sizeof(T))
        return Errc::invalid;
    T value;
    std::copy_n(request.in.data(), sizeof(T), reinterpret_cast<std::byte *>(&value));
    return value;
}

template <typename T> IoctlAnswer ioctl_out(const IoctlRequest &request, const T &value) {
    if (request.out_bytes < sizeof(T))
        return Errc::invalid;
    const auto *bytes = reinterpret_cast<const std::byte *>(&value);
    return std::vector<std::byte>(bytes, bytes + sizeof(T));
}

// True if every element of a `reserved` member is zero.
template <std::size_t n> bool all_zero(const unsigned (&reserved)[n]) {
    return std::all_of(reserved, reserved + n, [](unsigned word) { return word == 0; });
}

} // namespace daxpin::fusefs
