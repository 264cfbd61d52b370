# SPDX-License-Identifier: BSD-3-Clause
"""statvfs and fstatvfs."""

import ctypes
import errno
import os

from .framework import libc
from .framework.apart import ReadOnly
from .framework.at_rules import opened
from .framework.checks import check, equal, fails
from .framework.files import ALL_KINDS, make
from .framework.paths import PathCall, path_rules
from .framework.registry import case

MIB = 1 << 20

path_rules(PathCall("statvfs", os.statvfs, writes=False, raw=lambda pointer: libc.call(
    "statvfs", pointer, ctypes.create_string_buffer(256))))


def free(path="."):
    status = os.statvfs(path)
    return status.f_bfree * status.f_frsize


@case("statvfs/makes-sense/directory")
def sense():
    status = os.statvfs(".")
    check(0 <= status.f_bavail <= status.f_bfree <= status.f_blocks, f"blocks: {status}")
    check(0 <= status.f_favail <= status.f_ffree <= status.f_files, f"files: {status}")
    check(status.f_bsize >= 512 and status.f_frsize >= 512, f"sizes: {status}")
    check(status.f_blocks > 0, "no blocks at all")


@case("statvfs/f_namemax-is-true/regular")
def name_max():
    longest = os.statvfs(".").f_namemax
    make("regular", "n" * longest)
    fails(errno.ENAMETOOLONG, make, "regular", "n" * (longest + 1))
    equal(os.pathconf(".", "PC_NAME_MAX"), longest, "_PC_NAME_MAX")


@case("statvfs/same-by-every-file/{kind}", kind=ALL_KINDS)
def same(kind):
    make(kind, "file")
    here = os.statvfs(".")
    there = os.statvfs(".") if kind == "symlink" else os.statvfs("file")
    for field in ("f_blocks", "f_bsize", "f_frsize", "f_namemax"):
        equal(getattr(there, field), getattr(here, field), field)


@case("statvfs/by-descriptor/{kind}", kind=("regular", "directory", "fifo"))
def by_descriptor(kind):
    make(kind, "file")
    with opened("file", os.O_RDONLY | os.O_NONBLOCK) as descriptor:
        there = os.fstatvfs(descriptor)
    equal(there.f_blocks, os.statvfs(".").f_blocks, "f_blocks")
    equal(there.f_namemax, os.statvfs(".").f_namemax, "f_namemax")


@case("statvfs/writing-takes-blocks/regular", alone=True)
def writing():
    before = free()
    with open("file", "wb", buffering=0) as file:
        for _ in range(16):
            file.write(b"x" * MIB)
        os.fsync(file.fileno())
    taken = before - free()
    check(14 * MIB < taken < 64 * MIB, f"16 MiB written, {taken} bytes taken")


@case("statvfs/holes-take-none/regular", alone=True)
def holes():
    before = free()
    make("regular", "file")
    os.truncate("file", 1 << 34)
    taken = before - free()
    check(taken < 4 * MIB, f"16 GiB of holes, {taken} bytes taken")


@case("statvfs/read-only-is-shown/directory", root=True)
def read_only():
    os.mkdir("tree")
    check(not os.statvfs("tree").f_flag & os.ST_RDONLY, "shown as read-only")
    flags = ReadOnly("tree").does(lambda: os.statvfs("tree").f_flag)
    check(flags & os.ST_RDONLY, f"flags {flags:#x}")


@case("statvfs/EBADF/regular")
def bad_descriptor():
    fails(errno.EBADF, os.fstatvfs, 1 << 20)


@case("statvfs/EFAULT-buffer/regular")
def bad_buffer():
    """The C library converts, so it is the kernel's statfs that is asked."""
    fails(errno.EFAULT, libc.call, "statfs", ".", libc.BAD_POINTER)
