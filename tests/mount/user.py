#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""An ordinary user makes a volume, mounts it through fusermount3, pins, and unmounts.

Started by root, it becomes nobody first.
"""

import ctypes
import errno
import os
import pwd
import shutil
import stat
import sys
import tempfile
import traceback

import pinning
from harness import (MIB, SKIPPED_EXIT, Skip, case, expect, expect_equal, expect_errno,
                     make_mounts_private, mount_line, program, run, run_command)

USER = pwd.getpwnam("nobody")  # fusermount3 wants a name, and every Debian has this one
CLONE_NEWNS = 0x00020000


@case("ordinary user: files, pins and kill -9 work as for root", size=64 * MIB)
def own_mount(volume):
    expect(os.geteuid() != 0, "this is root")
    path = volume.path("file")
    path.write_bytes(bytes(range(256)) * 64)
    fd = pinning.open_direct(path)
    pinning.pin(fd)
    pinning.lease(fd, pinning.LEASE_WRITE)
    expect(pinning.extents(fd), "no extents")
    os.close(fd)
    volume.kill()
    volume.mount()
    expect_equal(path.read_bytes(), bytes(range(256)) * 64)
    with expect_errno(errno.EPERM):
        os.unlink(path)


@case("ordinary user: the mount is nosuid and nodev", size=64 * MIB)
def restricted(volume):
    options = mount_line(volume.mountpoint).split()[5].split(",")
    expect("nosuid" in options and "nodev" in options, f"options {options}")


def lend_programs(folder):
    """The build folder may be out of an ordinary user's reach; the programs are copied out."""
    for name in ("daxpinfs", "mkfs.daxpinfs", "fsck.daxpinfs"):
        shutil.copy(program(name), folder)
    os.chmod(folder, 0o755)
    os.environ["DAXPIN_BUILD"] = str(folder)


def open_fuse_device(folder):
    """Gives everybody /dev/fuse, as Debian's udev rule does, in a mount namespace of our own."""
    if os.stat("/dev/fuse").st_mode & 0o006 == 0o006:
        return
    node = os.path.join(folder, "fuse")
    os.mknod(node, stat.S_IFCHR | 0o666, os.stat("/dev/fuse").st_rdev)
    os.chmod(node, 0o666)
    if ctypes.CDLL(None).unshare(CLONE_NEWNS) != 0:
        raise Skip("/dev/fuse is root's alone, and there are no private mount namespaces")
    make_mounts_private()
    run_command("mount", "--bind", node, "/dev/fuse")


def become_user(folder):
    lend_programs(folder)
    open_fuse_device(folder)
    os.setgroups([])
    os.setresgid(USER.pw_gid, USER.pw_gid, USER.pw_gid)
    os.setresuid(USER.pw_uid, USER.pw_uid, USER.pw_uid)


def main():
    if not os.path.exists("/etc/mtab"):
        print("skipped: fusermount3 -u needs /etc/mtab, which this system lacks")
        return SKIPPED_EXIT
    if os.geteuid() != 0:
        return run()
    # Not on /dev/shm: device nodes may be forbidden there.
    with tempfile.TemporaryDirectory(prefix="daxpin-user-") as folder:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                become_user(folder)
                status = run()
            except (Skip, OSError) as reason:
                print(f"skipped: {reason}")
                status = SKIPPED_EXIT
            except Exception:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
