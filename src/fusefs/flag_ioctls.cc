// SPDX-License-Identifier: BSD-3-Clause
//
// FS_IOC_GETFLAGS and relatives, which lsattr, chattr and xfs_io send.
#include "fusefs/file_flags.h"
#include "fusefs/ioctls.h"

namespace daxpin::fusefs {
namespace {

// The numbers say `long`, the kernel and the tools pass 32 bits.
IoctlAnswer number_out(const IoctlRequest &request, std::uint32_t value) {
    if (request.out_bytes >= sizeof(std::uint64_t))
        return ioctl_out(request, std::uint64_t{value});
    return ioctl_out(request, value);
}

Result<std::uint32_t> number_in(const IoctlRequest &request) {
    if (request.in.size() == sizeof(std::uint64_t)) {
        DAXPIN_TRY_ASSIGN(const auto wide, ioctl_bytes<std::uint64_t>(request));
        return static_cast<std::uint32_t>(wide);
    }
    return ioctl_bytes<std::uint32_t>(request);
}

// The kernel does not know that an ioctl changed the status time.
IoctlAnswer changed(Filesystem &fs, const IoctlRequest &request, const Result<void> &done) {
    DAXPIN_TRY(done);
    fs.notifier.invalidate_attributes(request.inode);
    return std::vector<std::byte>();
}

IoctlAnswer set_flags(Filesystem &fs, const volume::Caller &caller, const IoctlRequest &request) {
    DAXPIN_TRY_ASSIGN(const auto wanted, number_in(request));
    DAXPIN_TRY_ASSIGN(const auto flags, from_fs_flags(wanted));
    return changed(fs, request, fs.volume.set_flags(caller, request.inode, flags, std::nullopt));
}

IoctlAnswer set_fsxattr(Filesystem &fs, const volume::Caller &caller, const IoctlRequest &request) {
    DAXPIN_TRY_ASSIGN(const auto wanted, ioctl_bytes<fsxattr>(request));
    DAXPIN_TRY_ASSIGN(const auto attributes, fs.volume.attributes(request.inode));
    DAXPIN_TRY_ASSIGN(const auto change, from_fsxattr(wanted, attributes.is_directory()));
    return changed(fs, request,
                   fs.volume.set_flags(caller, request.inode, change.flags, change.align_hint));
}

IoctlAnswer show(Filesystem &fs, const IoctlRequest &request) {
    DAXPIN_TRY_ASSIGN(const auto attributes, fs.volume.attributes(request.inode));
    switch (request.command) {
    case FS_IOC_GETFLAGS:
        return number_out(request, to_fs_flags(attributes.flags));
    case FS_IOC_FSGETXATTR:
        return ioctl_out(request, to_fsxattr(attributes));
    default: // FS_IOC_GETVERSION
        return number_out(request, static_cast<std::uint32_t>(attributes.generation));
    }
}

} // namespace

bool freezes_content(const IoctlRequest &request) {
    if (request.command == FS_IOC_SETFLAGS) {
        const auto wanted = number_in(request);
        return wanted && (*wanted & (FS_IMMUTABLE_FL | FS_APPEND_FL)) != 0;
    }
    if (request.command == FS_IOC_FSSETXATTR) {
        const auto wanted = ioctl_bytes<fsxattr>(request);
        return wanted && (wanted->fsx_xflags & (FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND)) != 0;
    }
    return false;
}

IoctlAnswer flags_ioctl(Filesystem &fs, const volume::Caller &caller, const IoctlRequest &request) {
    switch (request.command) {
    case FS_IOC_GETFLAGS:
    case FS_IOC_FSGETXATTR:
    case FS_IOC_GETVERSION:
        return show(fs, request);
    case FS_IOC_SETFLAGS:
        return set_flags(fs, caller, request);
    case FS_IOC_FSSETXATTR:
        return set_fsxattr(fs, caller, request);
    default:
        return Errc::not_a_tty;
    }
}

} // namespace daxpin::fusefs
