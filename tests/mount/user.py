#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""An ordinary user makes a volume, mounts it through fusermount3, pins, and unmounts.

Started by root, it becomes uid 1000 first.
"""

import errno
import os
import sys

import pinning
from harness import MIB, case, expect, expect_equal, expect_errno, mount_line, run

USER = 1000


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


def become_user():
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
    os.environ.pop("XDG_RUNTIME_DIR", None)


if __name__ == "__main__":
    become_user()
    sys.exit(run())
