// SPDX-License-Identifier: BSD-3-Clause
//
// One function per FUSE request that the daemon answers, by theme; operations.cc puts them into
// libfuse's table. fsync, fsyncdir and flush are absent on purpose: every operation is durable
// when it returns, and a kernel that is told ENOSYS once asks no more.
#pragma once

#include "fusefs/fuse.h"

#include <sys/types.h>

namespace daxpin::fusefs {

// The table for fuse_session_new(); its user data is a Filesystem.
const fuse_lowlevel_ops &operations();

// op_session.cc
void op_init(void *userdata, fuse_conn_info *connection);
void op_statfs(fuse_req_t raw, fuse_ino_t inode);

// op_names.cc
void op_lookup(fuse_req_t raw, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t raw, fuse_ino_t inode, uint64_t count);
void op_forget_multi(fuse_req_t raw, size_t count, fuse_forget_data *forgets);
void op_readlink(fuse_req_t raw, fuse_ino_t inode);
void op_mknod(fuse_req_t raw, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void op_mkdir(fuse_req_t raw, fuse_ino_t parent, const char *name, mode_t mode);
void op_symlink(fuse_req_t raw, const char *target, fuse_ino_t parent, const char *name);
void op_unlink(fuse_req_t raw, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t raw, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t raw, fuse_ino_t from, const char *from_name, fuse_ino_t to,
               const char *to_name, unsigned flags);
void op_link(fuse_req_t raw, fuse_ino_t inode, fuse_ino_t parent, const char *name);

// op_attributes.cc
void op_getattr(fuse_req_t raw, fuse_ino_t inode, fuse_file_info *info);
void op_setattr(fuse_req_t raw, fuse_ino_t inode, struct stat *wanted, int to_set,
                fuse_file_info *info);

// op_files.cc
void op_create(fuse_req_t raw, fuse_ino_t parent, const char *name, mode_t mode,
               fuse_file_info *info);
void op_open(fuse_req_t raw, fuse_ino_t inode, fuse_file_info *info);
void op_release(fuse_req_t raw, fuse_ino_t inode, fuse_file_info *info);
void op_poll(fuse_req_t raw, fuse_ino_t inode, fuse_file_info *info, fuse_pollhandle *poller);
void op_read(fuse_req_t raw, fuse_ino_t inode, size_t size, off_t offset, fuse_file_info *info);
void op_write_buf(fuse_req_t raw, fuse_ino_t inode, fuse_bufvec *data, off_t offset,
                  fuse_file_info *info);
void op_fallocate(fuse_req_t raw, fuse_ino_t inode, int mode, off_t offset, off_t length,
                  fuse_file_info *info);
void op_lseek(fuse_req_t raw, fuse_ino_t inode, off_t offset, int whence, fuse_file_info *info);
void op_copy_file_range(fuse_req_t raw, fuse_ino_t from, off_t from_offset,
                        fuse_file_info *from_info, fuse_ino_t to, off_t to_offset,
                        fuse_file_info *to_info, size_t length, int flags);

// op_directories.cc
void op_opendir(fuse_req_t raw, fuse_ino_t inode, fuse_file_info *info);
void op_readdir(fuse_req_t raw, fuse_ino_t inode, size_t size, off_t after, fuse_file_info *info);
void op_readdirplus(fuse_req_t raw, fuse_ino_t inode, size_t size, off_t after,
                    fuse_file_info *info);
void op_releasedir(fuse_req_t raw, fuse_ino_t inode, fuse_file_info *info);

// op_xattrs.cc
void op_getxattr(fuse_req_t raw, fuse_ino_t inode, const char *name, size_t size);
void op_setxattr(fuse_req_t raw, fuse_ino_t inode, const char *name, const char *value, size_t size,
                 int flags);
void op_listxattr(fuse_req_t raw, fuse_ino_t inode, size_t size);
void op_removexattr(fuse_req_t raw, fuse_ino_t inode, const char *name);

// op_ioctls.cc
void op_ioctl(fuse_req_t raw, fuse_ino_t inode, unsigned command, void *argument,
              fuse_file_info *info, unsigned flags, const void *in, size_t in_bytes,
              size_t out_bytes);

} // namespace daxpin::fusefs
