// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/operations.h"

namespace daxpin::fusefs {

const fuse_lowlevel_ops &operations() {
    static const fuse_lowlevel_ops table = [] {
        fuse_lowlevel_ops ops{};
        ops.init = op_init;
        ops.statfs = op_statfs;
        ops.lookup = op_lookup;
        ops.forget = op_forget;
        ops.forget_multi = op_forget_multi;
        ops.readlink = op_readlink;
        ops.mknod = op_mknod;
        ops.mkdir = op_mkdir;
        ops.symlink = op_symlink;
        ops.unlink = op_unlink;
        ops.rmdir = op_rmdir;
        ops.rename = op_rename;
        ops.link = op_link;
        ops.getattr = op_getattr;
        ops.setattr = op_setattr;
        ops.create = op_create;
        ops.open = op_open;
        ops.release = op_release;
        ops.poll = op_poll;
        ops.read = op_read;
        ops.write_buf = op_write_buf;
        ops.fallocate = op_fallocate;
        ops.lseek = op_lseek;
        ops.copy_file_range = op_copy_file_range;
        ops.opendir = op_opendir;
        ops.readdir = op_readdir;
        ops.readdirplus = op_readdirplus;
        ops.releasedir = op_releasedir;
        ops.getxattr = op_getxattr;
        ops.setxattr = op_setxattr;
        ops.listxattr = op_listxattr;
        ops.removexattr = op_removexattr;
        ops.ioctl = op_ioctl;
        return ops;
    }();
    return table;
}

} // namespace daxpin::fusefs
