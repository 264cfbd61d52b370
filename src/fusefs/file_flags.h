// SPDX-License-Identifier: BSD-3-Clause
//
// The flags of chattr(1) in their three spellings: FS_*_FL of FS_IOC_SETFLAGS, FS_XFLAG_* of
// FS_IOC_FSSETXATTR, and the volume's own. The kernel checks who may set +i and +a before the
// daemon sees a request.
#pragma once

#include "base/result.h"
#include "volume/types.h"

#include <linux/fs.h>

namespace daxpin::fusefs {

// The volume's flags that chattr shows and sets; the others are not its business.
std::uint32_t settable_inode_flags();

unsigned to_fs_flags(std::uint32_t inode_flags);
// ERRORS: unsupported if a flag is set that the volume does not know.
Result<std::uint32_t> from_fs_flags(unsigned fs_flags);

fsxattr to_fsxattr(const volume::Attributes &attributes);

struct FlagChange {
    std::uint32_t flags = 0;
    std::uint64_t align_hint = 0; // bytes, 0 = none
};
// ERRORS: unsupported (unknown flag, a project); invalid if the extent size is no power of two
// or below the block size.
Result<FlagChange> from_fsxattr(const fsxattr &wanted, bool directory);

} // namespace daxpin::fusefs
