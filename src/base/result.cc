// SPDX-License-Identifier: BSD-3-Clause
#include "base/result.h"

#include <cerrno>

namespace daxpin {

// One row per code:
// clang-format off
int to_errno(Errc code) noexcept {
    switch (code) {
    case Errc::not_found: return ENOENT;
    case Errc::exists: return EEXIST;
    case Errc::not_directory: return ENOTDIR;
    case Errc::is_directory: return EISDIR;
    case Errc::not_empty: return ENOTEMPTY;
    case Errc::name_too_long: return ENAMETOOLONG;
    case Errc::no_space: return ENOSPC;
    case Errc::quota: return EDQUOT;
    case Errc::file_too_big: return EFBIG;
    case Errc::too_many_links: return EMLINK;
    case Errc::too_big: return E2BIG;
    case Errc::range: return ERANGE;
    case Errc::no_attribute: return ENODATA;
    case Errc::no_data: return ENXIO;
    case Errc::invalid: return EINVAL;
    case Errc::not_permitted: return EPERM;
    case Errc::access: return EACCES;
    case Errc::bad_handle: return EBADF;
    case Errc::busy: return EBUSY;
    case Errc::pinned: return ETXTBSY;
    case Errc::no_lease: return ENOLCK;
    case Errc::stale: return ESTALE;
    case Errc::cross_device: return EXDEV;
    case Errc::read_only: return EROFS;
    case Errc::unsupported: return EOPNOTSUPP;
    case Errc::not_a_tty: return ENOTTY;
    case Errc::overflow: return EOVERFLOW;
    case Errc::io: return EIO;
    case Errc::corrupt: return EIO;
    case Errc::out_of_memory: return ENOMEM;
    case Errc::interrupted: return EINTR;
    case Errc::missing: return ENODEV;
    case Errc::retry: return EAGAIN;
    }
    return EIO;
}

const char *to_string(Errc code) noexcept {
    switch (code) {
    case Errc::not_found: return "no such file or directory";
    case Errc::exists: return "file exists";
    case Errc::not_directory: return "not a directory";
    case Errc::is_directory: return "is a directory";
    case Errc::not_empty: return "directory not empty";
    case Errc::name_too_long: return "name too long";
    case Errc::no_space: return "no space left on the volume";
    case Errc::quota: return "limit of leases or quarantined blocks reached";
    case Errc::file_too_big: return "file too large";
    case Errc::too_many_links: return "too many links";
    case Errc::too_big: return "value too large";
    case Errc::range: return "buffer too small for the value";
    case Errc::no_attribute: return "no such attribute";
    case Errc::no_data: return "no data beyond this offset";
    case Errc::invalid: return "invalid argument";
    case Errc::not_permitted: return "operation not permitted";
    case Errc::access: return "permission denied";
    case Errc::bad_handle: return "descriptor not open for this operation";
    case Errc::busy: return "device or resource busy";
    case Errc::pinned: return "the file's block map is pinned or leased";
    case Errc::no_lease: return "no lease over the range";
    case Errc::stale: return "the block map has changed since";
    case Errc::cross_device: return "not on the same filesystem";
    case Errc::read_only: return "read-only filesystem";
    case Errc::unsupported: return "operation not supported";
    case Errc::not_a_tty: return "unknown ioctl";
    case Errc::overflow: return "value does not fit";
    case Errc::io: return "input/output error";
    case Errc::corrupt: return "the stored structure is damaged";
    case Errc::out_of_memory: return "out of memory";
    case Errc::interrupted: return "interrupted";
    case Errc::missing: return "no such device";
    case Errc::retry: return "try again";
    }
    return "unknown error";
}

Errc from_errno(int number) noexcept {
    switch (number) {
    case ENOENT: return Errc::not_found;
    case EEXIST: return Errc::exists;
    case ENOTDIR: return Errc::not_directory;
    case EISDIR: return Errc::is_directory;
    case ENOTEMPTY: return Errc::not_empty;
    case ENAMETOOLONG: return Errc::name_too_long;
    case ENOSPC: return Errc::no_space;
    case EDQUOT: return Errc::quota;
    case EFBIG: return Errc::file_too_big;
    case EMLINK: return Errc::too_many_links;
    case E2BIG: return Errc::too_big;
    case ERANGE: return Errc::range;
    case ENODATA: return Errc::no_attribute;
    case ENXIO: return Errc::no_data;
    case EINVAL: return Errc::invalid;
    case EPERM: return Errc::not_permitted;
    case EACCES: return Errc::access;
    case EBADF: return Errc::bad_handle;
    case EBUSY: return Errc::busy;
    case EAGAIN: return Errc::busy; // a lock that somebody else holds
    case ETXTBSY: return Errc::pinned;
    case ENOLCK: return Errc::no_lease;
    case ESTALE: return Errc::stale;
    case EXDEV: return Errc::cross_device;
    case EROFS: return Errc::read_only;
    case EOPNOTSUPP: return Errc::unsupported;
    case ENOTTY: return Errc::not_a_tty;
    case EOVERFLOW: return Errc::overflow;
    case EUCLEAN: return Errc::corrupt;
    case ENOMEM: return Errc::out_of_memory;
    case EINTR: return Errc::interrupted;
    case ENODEV: return Errc::missing;
    default:
        return Errc::io;
    }
}
// clang-format on

int to_errno(const Error &error) noexcept {
    return error.number != 0 ? error.number : to_errno(error.code);
}

std::string describe(const Error &error) {
    return error.text.empty() ? to_string(error.code) : error.text;
}

} // namespace daxpin
