# SPDX-License-Identifier: BSD-3-Clause
"""posix_fallocate: what POSIX says of it, whether the C library or the filesystem does it."""

import errno
import os

from .framework.apart import Limited
from .framework.at_rules import opened
from .framework.checks import changes, check, equal, fails, keeps
from .framework.files import make, read, write
from .framework.registry import case
from .framework.sizes import EDGES, PATTERN

MIB = 1 << 20


def allocate(path, offset, length):
    with opened(path, os.O_RDWR) as descriptor:
        os.posix_fallocate(descriptor, offset, length)


@case("posix_fallocate/grows-to-{length}/regular", length=EDGES[1:])
def grows(length):
    make("regular", "file")
    allocate("file", 0, length)
    equal(os.stat("file").st_size, length, "size")
    equal(read("file"), bytes(length), "contents")


@case("posix_fallocate/offset-counts/regular")
def offset():
    write("file", b"head")
    allocate("file", 10000, 1)
    equal(os.stat("file").st_size, 10001, "size")
    equal(read("file"), b"head" + bytes(9997), "contents")


@case("posix_fallocate/keeps-data/regular")
def keeps_data():
    write("file", PATTERN)
    allocate("file", 0, len(PATTERN))
    allocate("file", 5000, 3)
    check(read("file") == PATTERN, "contents changed")


@case("posix_fallocate/never-shrinks/regular")
def never_shrinks():
    write("file", PATTERN)
    allocate("file", 0, 1)
    equal(os.stat("file").st_size, len(PATTERN), "size")


@case("posix_fallocate/fills-holes/regular")
def holes():
    make("regular", "file")
    os.truncate("file", MIB)
    allocate("file", 0, MIB)
    check(os.stat("file").st_blocks * 512 >= MIB, f"{os.stat('file').st_blocks} blocks")
    equal(read("file"), bytes(MIB), "contents")


@case("posix_fallocate/then-writes-succeed/regular")
def reserved():
    make("regular", "file")
    allocate("file", 0, MIB)
    with keeps("file", "blocks", "size"):
        with open("file", "r+b", buffering=0) as file:
            file.write(b"x" * MIB)
            os.fsync(file.fileno())
    equal(read("file"), b"x" * MIB, "contents")


@case("posix_fallocate/updates-ctime/regular")
def times():
    make("regular", "file")
    with changes("file", "ctime"):
        allocate("file", 0, 5000)


@case("posix_fallocate/64-bit-offset/regular")
def far():
    make("regular", "file")
    allocate("file", 1 << 33, 100)
    equal(os.stat("file").st_size, (1 << 33) + 100, "size")


@case("posix_fallocate/EBADF/regular")
def bad_descriptor():
    write("file", PATTERN)
    with opened("file", os.O_RDONLY) as descriptor:
        fails(errno.EBADF, os.posix_fallocate, descriptor, 0, 10)
    fails(errno.EBADF, os.posix_fallocate, 1 << 20, 0, 10)


@case("posix_fallocate/EINVAL-{what}/regular", what=("no-length", "negative"))
def invalid(what):
    write("file", PATTERN)
    with opened("file", os.O_RDWR) as descriptor, keeps("file", "size"):
        if what == "no-length":
            fails(errno.EINVAL, os.posix_fallocate, descriptor, 0, 0)
        else:
            fails(errno.EINVAL, os.posix_fallocate, descriptor, -1, 10)
            fails(errno.EINVAL, os.posix_fallocate, descriptor, 0, -1)


@case("posix_fallocate/EFBIG-{what}/regular", what=("overflow", "limit"))
def too_big(what):
    write("file", b"head")
    with opened("file", os.O_RDWR) as descriptor, keeps("file", "size"):
        if what == "limit":
            Limited(4096).fails(errno.EFBIG, os.posix_fallocate, descriptor, 4000, 97)
        else:
            fails(errno.EFBIG, os.posix_fallocate, descriptor, (1 << 63) - 1, 10)


@case("posix_fallocate/ESPIPE/fifo")
def fifo():
    make("fifo", "fifo")
    with opened("fifo", os.O_RDWR) as descriptor:
        fails(errno.ESPIPE, os.posix_fallocate, descriptor, 0, 10)


@case("posix_fallocate/EBADF-directory/directory")
def directory():
    os.mkdir("dir")
    with opened("dir") as descriptor:
        fails((errno.EBADF, errno.ENODEV, errno.EISDIR), os.posix_fallocate, descriptor, 0, 10)


@case("posix_fallocate/ENOSPC-keeps-data/regular", alone=True)
def no_space():
    status = os.statvfs(".")
    write("file", b"head")
    with opened("file", os.O_RDWR) as descriptor:
        fails((errno.ENOSPC, errno.EFBIG), os.posix_fallocate, descriptor, 0,
              status.f_blocks * status.f_frsize + (1 << 30))
    os.truncate("file", 4)
    equal(read("file"), b"head", "contents")
