// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/file_flags.h"

#include "format/layout.h"

#include <bit>

// linux/fs.h of Debian 12 has it, those of other distributions may not.
#ifndef FS_DAX_FL
#define FS_DAX_FL 0x02000000
#endif

namespace daxpin::fusefs {
namespace {

struct Spelling {
    std::uint32_t inode_flag;
    unsigned fs_flag;
    unsigned xflag;
};

constexpr Spelling spellings[] = {
    {format::inode_flag_immutable, FS_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE},
    {format::inode_flag_append, FS_APPEND_FL, FS_XFLAG_APPEND},
    {format::inode_flag_noatime, FS_NOATIME_FL, FS_XFLAG_NOATIME},
    {format::inode_flag_nodump, FS_NODUMP_FL, FS_XFLAG_NODUMP},
    {format::inode_flag_dax, FS_DAX_FL, FS_XFLAG_DAX},
};

// Translates between two columns of the table. ERRORS: unsupported for a bit of none.
Result<std::uint32_t> translate(std::uint32_t flags, unsigned Spelling::*from,
                                unsigned Spelling::*to) {
    std::uint32_t translated = 0;
    for (const Spelling &spelling : spellings) {
        if (flags & spelling.*from)
            translated |= spelling.*to;
        flags &= ~(spelling.*from);
    }
    if (flags != 0)
        return Errc::unsupported;
    return translated;
}

} // namespace

std::uint32_t settable_inode_flags() {
    std::uint32_t all = 0;
    for (const Spelling &spelling : spellings)
        all |= spelling.inode_flag;
    return all;
}

unsigned to_fs_flags(std::uint32_t inode_flags) {
    return *translate(inode_flags & settable_inode_flags(), &Spelling::inode_flag,
                      &Spelling::fs_flag);
}

Result<std::uint32_t> from_fs_flags(unsigned fs_flags) {
    return translate(fs_flags, &Spelling::fs_flag, &Spelling::inode_flag);
}

fsxattr to_fsxattr(const volume::Attributes &attributes) {
    fsxattr shown{};
    shown.fsx_xflags = *translate(attributes.flags & settable_inode_flags(), &Spelling::inode_flag,
                                  &Spelling::xflag);
    if (attributes.align_hint != 0) {
        shown.fsx_xflags |= attributes.is_directory() ? FS_XFLAG_EXTSZINHERIT : FS_XFLAG_EXTSIZE;
        shown.fsx_extsize = static_cast<std::uint32_t>(attributes.align_hint);
    }
    return shown;
}

Result<FlagChange> from_fsxattr(const fsxattr &wanted, bool directory) {
    if (wanted.fsx_projid != 0 || wanted.fsx_cowextsize != 0)
        return Errc::unsupported;
    const std::uint32_t hint_flag = directory ? FS_XFLAG_EXTSZINHERIT : FS_XFLAG_EXTSIZE;
    // HASATTR is only shown by other filesystems; xfs_io hands it back.
    const std::uint32_t flags = wanted.fsx_xflags & ~(hint_flag | FS_XFLAG_HASATTR);
    FlagChange change;
    DAXPIN_TRY_ASSIGN(change.flags, translate(flags, &Spelling::xflag, &Spelling::inode_flag));
    if ((wanted.fsx_xflags & hint_flag) != 0) {
        if (!std::has_single_bit(wanted.fsx_extsize) || wanted.fsx_extsize < block_size)
            return Errc::invalid;
        change.align_hint = wanted.fsx_extsize;
    }
    return change;
}

} // namespace daxpin::fusefs
