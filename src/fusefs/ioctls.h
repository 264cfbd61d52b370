// SPDX-License-Identifier: BSD-3-Clause
//
// The ioctls: include/daxpin/ioctl.h, chattr's, and the mount helper's (wire/control.h).
//
// An ioctl that FUSE passes on is a number and a structure of the size that the number names.
// Each is checked before anything else: unknown number not_a_tty, a size that is not the
// structure's, a flag without a name or a reserved byte that is not zero: invalid. What is out is
// not looked at. So a structure may be passed again as it came back, and what a later version takes
// finds its place in `reserved`: no structure of ours is without.
#pragma once

#include "fusefs/filesystem.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
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

// The argument as it is, of ioctls that are not ours. ERRORS: invalid for another size.
template <typename T> Result<T> ioctl_bytes(const IoctlRequest &request) {
    if (request.in.size() != sizeof(T))
        return Errc::invalid;
    T value;
    std::copy_n(request.in.data(), sizeof(T), reinterpret_cast<std::byte *>(&value));
    return value;
}

inline constexpr unsigned flags_are_out = ~0U;

template <typename T> bool unused_is_zero(const T &in, unsigned flags) {
    if constexpr (requires { in.flags; })
        if ((in.flags & ~flags) != 0)
            return false;
    return std::ranges::all_of(in.reserved, [](unsigned word) { return word == 0; });
}

// An argument of ours; `flags` are those that the ioctl takes. ERRORS: invalid, see above.
template <typename T> Result<T> ioctl_in(const IoctlRequest &request, unsigned flags = 0) {
    DAXPIN_TRY_ASSIGN(const auto in, ioctl_bytes<T>(request));
    if (!unused_is_zero(in, flags))
        return Errc::invalid;
    return in;
}

// The same of what is too large for a stack, and has as large an answer.
template <typename T>
Result<std::unique_ptr<T>> large_ioctl_in(const IoctlRequest &request, unsigned flags = 0) {
    if (request.in.size() != sizeof(T) || request.out_bytes < sizeof(T))
        return Errc::invalid;
    auto in = std::make_unique<T>();
    std::memcpy(in.get(), request.in.data(), sizeof(T));
    if (!unused_is_zero(*in, flags))
        return Errc::invalid;
    return in;
}

template <typename T> IoctlAnswer ioctl_out(const IoctlRequest &request, const T &value) {
    if (request.out_bytes < sizeof(T))
        return Errc::invalid;
    const auto *bytes = reinterpret_cast<const std::byte *>(&value);
    return std::vector<std::byte>(bytes, bytes + sizeof(T));
}

} // namespace daxpin::fusefs
