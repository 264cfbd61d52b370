// SPDX-License-Identifier: BSD-3-Clause
//
// The ioctl request: to whom its number belongs.
#include "fusefs/ioctls.h"
#include "fusefs/operations.h"
#include "fusefs/request.h"

#include <algorithm>
#include <array>
#include <linux/fs.h>

namespace daxpin::fusefs {

IoctlAnswer answer_ioctl(Filesystem &fs, const volume::Caller &caller,
                         const IoctlRequest &request) {
    for (const auto family :
         {pin_ioctl, lease_ioctl, lease_list_ioctl, flags_ioctl, bad_block_ioctl, control_ioctl}) {
        IoctlAnswer answer = family(fs, caller, request);
        if (answer || answer.code() != Errc::not_a_tty)
            return answer;
    }
    return Errc::not_a_tty;
}

void op_ioctl(fuse_req_t raw, fuse_ino_t inode, unsigned command, void *, fuse_file_info *info,
              unsigned flags, const void *in, size_t in_bytes, size_t out_bytes) {
    IoctlRequest request;
    request.inode = InodeNumber{inode};
    request.handle = (flags & FUSE_IOCTL_DIR) != 0 ? 0 : info->fh;
    request.command = command;
    request.in = {static_cast<const std::byte *>(in), in_bytes};
    request.out_bytes = out_bytes;
    const auto answer = [raw](Filesystem &fs, const IoctlRequest &asked) -> Result<IoctlReply> {
        DAXPIN_TRY_ASSIGN(auto out, answer_ioctl(fs, caller(raw), asked));
        return IoctlReply{std::move(out)};
    };
    const auto dirty = detail::run([&]() -> Result<bool> {
        return freezes_content(request) ? filesystem(raw).volume.may_be_dirty(request.inode)
                                        : Result<bool>(false);
    });
    if (!dirty || !*dirty) {
        dispatch(raw, [&](Filesystem &fs) { return answer(fs, request); });
        return;
    }
    std::array<std::byte, sizeof(fsxattr)> own{}; // the larger of the two structures
    std::ranges::copy(request.in, own.begin());
    dispatch_written_back(raw, request.inode, [=](Filesystem &fs) mutable {
        request.in = std::span<const std::byte>(own).first(in_bytes);
        return answer(fs, request);
    });
}

} // namespace daxpin::fusefs
