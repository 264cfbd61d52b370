// SPDX-License-Identifier: BSD-3-Clause
//
// What daemon and kernel agree on at the start, and statfs.
#include "fusefs/operations.h"
#include "fusefs/request.h"

namespace daxpin::fusefs {
namespace {

constexpr unsigned minor_of_linux_6_6 = 39; // of the FUSE protocol
constexpr unsigned max_write = 1024 * 1024; // bytes
constexpr unsigned max_background = 64;     // read-ahead and parts of large direct requests

// The daemon alone changes files, so the kernel never has to look whether pages are stale
// (explicit instead of automatic invalidation). No write-back cache: a write is durable when it
// returns. No splicing: media pages must not end up in a pipe, and a write would be copied once
// more. Set-id bits: raw_request.h. Access control lists: the kernel decides by them; the umask
// comes to us, because a default list replaces it. No O_TRUNC with OPEN: the kernel would send it
// beside appends and write-backs, and set the size to 0 once more when we have long answered;
// instead it truncates afterwards by SETATTR, under the inode's lock.
constexpr unsigned wanted = FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_IOCTL_DIR |
                            FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
                            FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS |
                            FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_POSIX_ACL | FUSE_CAP_DONT_MASK;

} // namespace

void op_init(void *userdata, fuse_conn_info *connection) {
    if (connection->proto_minor < minor_of_linux_6_6)
        static_cast<Filesystem *>(userdata)->volume.note_stale_pages();
    connection->want = connection->capable & wanted;
    connection->max_write = max_write;
    connection->max_background = max_background;
    connection->congestion_threshold = max_background * 3 / 4;
    connection->time_gran = 1; // ns
}

void op_statfs(fuse_req_t raw, fuse_ino_t) {
    dispatch(raw, [](Filesystem &fs) -> Result<StatisticsReply> {
        DAXPIN_TRY_ASSIGN(const auto statistics, fs.volume.statistics());
        return StatisticsReply{statistics};
    });
}

} // namespace daxpin::fusefs
