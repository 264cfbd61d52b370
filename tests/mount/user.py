#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""An ordinary user makes a volume, mounts it through fusermount3, pins, and unmounts."""

import errno
import os
import sys

import pinning
from files import align
from harness import MIB, case, expect, expect_equal, expect_errno, mount_line, run
from ordinary_user import run_as_ordinary_user


@case("ordinary user: files, pins and kill -9 work as for root", size=64 * MIB)
def own_mount(volume):
    expect(os.geteuid() != 0, "this is root")
    path = volume.path("file")
    path.write_bytes(bytes(range(256)) * 64)
    align(path)
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


if __name__ == "__main__":
    sys.exit(run_as_ordinary_user(lambda _: run()))
