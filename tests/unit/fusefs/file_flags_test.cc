// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/file_flags.h"

#include "format/layout.h"
#include "support/catch.h"

#include <sys/stat.h>

using namespace daxpin;
using namespace daxpin::fusefs;

namespace {

volume::Attributes with_flags(std::uint32_t mode, std::uint32_t flags, std::uint64_t hint = 0) {
    volume::Attributes attributes;
    attributes.mode = mode;
    attributes.flags = flags;
    attributes.align_hint = hint;
    return attributes;
}

} // namespace

TEST_CASE("file flags: every flag survives both ways in both spellings", "[fusefs]") {
    const std::uint32_t all = settable_inode_flags();
    CHECK(all == (format::inode_flag_immutable | format::inode_flag_append |
                  format::inode_flag_noatime | format::inode_flag_nodump | format::inode_flag_dax));
    for (std::uint32_t flag = 1; flag <= all; flag <<= 1) {
        CHECK(*from_fs_flags(to_fs_flags(flag)) == flag);
        CHECK(from_fsxattr(to_fsxattr(with_flags(S_IFREG, flag)), false)->flags == flag);
    }
}

TEST_CASE("file flags: what chattr has no letter for is not shown", "[fusefs]") {
    CHECK(to_fs_flags(format::inode_flag_pinned_whole) == 0);
    CHECK(to_fsxattr(with_flags(S_IFREG, format::inode_flag_pinned_whole)).fsx_xflags == 0);
}

TEST_CASE("file flags: unknown ones are refused", "[fusefs]") {
    CHECK(from_fs_flags(FS_COMPR_FL).code() == Errc::unsupported);
    fsxattr wanted{};
    wanted.fsx_xflags = FS_XFLAG_REALTIME;
    CHECK(from_fsxattr(wanted, false).code() == Errc::unsupported);
    wanted = {};
    wanted.fsx_projid = 1;
    CHECK(from_fsxattr(wanted, false).code() == Errc::unsupported);
}

TEST_CASE("file flags: the extent size is the alignment hint", "[fusefs]") {
    constexpr std::uint64_t hint = 2 << 20;
    const fsxattr file = to_fsxattr(with_flags(S_IFREG, 0, hint));
    CHECK((file.fsx_xflags & FS_XFLAG_EXTSIZE) != 0);
    CHECK(from_fsxattr(file, false)->align_hint == hint);
    const fsxattr directory = to_fsxattr(with_flags(S_IFDIR, 0, hint));
    CHECK((directory.fsx_xflags & FS_XFLAG_EXTSZINHERIT) != 0);
    CHECK(from_fsxattr(directory, true)->align_hint == hint);
    CHECK(from_fsxattr(to_fsxattr(with_flags(S_IFREG, 0)), false)->align_hint == 0);
    for (const unsigned bad : {1U, 2048U, 3U << 20}) {
        fsxattr wanted = file;
        wanted.fsx_extsize = bad;
        CHECK(from_fsxattr(wanted, false).code() == Errc::invalid);
    }
}
