# SPDX-License-Identifier: BSD-3-Clause
"""Runs a test as an ordinary user who mounts through fusermount3. Root becomes nobody first."""

import os
import pwd
import shutil
import stat
import sys
import tempfile
import traceback

from harness import SKIPPED_EXIT, Skip, enter_mount_namespace, program, run_command

USER = pwd.getpwnam("nobody")  # fusermount3 wants a name, and every Debian has this one
PROGRAMS = ("daxpinfs", "mkfs.daxpinfs", "fsck.daxpinfs")


def lend_programs(folder):
    """The build folder may be out of an ordinary user's reach; the programs are copied out."""
    for name in PROGRAMS:
        shutil.copy(program(name), folder)
    os.environ["DAXPIN_BUILD"] = str(folder)


def open_fuse_device(folder):
    """Gives everybody /dev/fuse, as Debian's udev rule does, in a mount namespace of our own."""
    if os.stat("/dev/fuse").st_mode & 0o006 == 0o006:
        return
    node = os.path.join(folder, "fuse")
    os.mknod(node, stat.S_IFCHR | 0o666, os.stat("/dev/fuse").st_rdev)
    os.chmod(node, 0o666)
    enter_mount_namespace("/dev/fuse is root's alone")
    run_command("mount", "--bind", node, "/dev/fuse")


def become_user(folder):
    lend_programs(folder)
    open_fuse_device(folder)
    os.setgroups([])
    os.setresgid(USER.pw_gid, USER.pw_gid, USER.pw_gid)
    os.setresuid(USER.pw_uid, USER.pw_uid, USER.pw_uid)


def run_in_child(function, folder):
    """Forks, becomes the user in the child, and returns the exit status of function(folder)."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            try:
                become_user(folder)
            except OSError as error:  # a sandbox may forbid it; later on it is a failure
                raise Skip(f"cannot become an ordinary user: {error}") from error
            status = function(folder)
        except Skip as reason:
            print(f"skipped: {reason}")
            status = SKIPPED_EXIT
        except Exception:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run_as_ordinary_user(function, lend=lambda folder: None):
    """The exit status of function(folder); lend(folder) first puts there what the user may not be
    able to reach otherwise."""
    if not os.path.exists("/etc/mtab"):
        print("skipped: fusermount3 -u needs /etc/mtab, which this system lacks")
        return SKIPPED_EXIT
    # Not on /dev/shm: device nodes may be forbidden there.
    with tempfile.TemporaryDirectory(prefix="daxpin-user-") as folder:
        os.chmod(folder, 0o755)
        lend(folder)
        return run_in_child(function, folder) if os.geteuid() == 0 else function(folder)
