// SPDX-License-Identifier: BSD-3-Clause
//
// The ioctl request: to whom its number belongs.
#include "fusefs/ioctls.h"
#include "fusefs/operations.h"
#include "fusefs/request.h"

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
    dispatch(raw, [&](Filesystem &fs) -> Result<IoctlReply> {
        IoctlRequest request;
        request.inode = InodeNumber{inode};
        request.handle = (flags & FUSE_IOCTL_DIR) != 0 ? 0 : info->fh;
        request.command = command;
        request.in = {static_cast<const std::byte *>(in), in_bytes};
        request.out_bytes = out_bytes;
        DAXPIN_TRY_ASSIGN(auto out, answer_ioctl(fs, caller(raw), request));
        return IoctlReply{std::move(out)};
    });
}

} // namespace daxpin::fusefs
