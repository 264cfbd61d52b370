# SPDX-License-Identifier: BSD-3-Clause
"""ftruncate."""

import errno
import os

from .framework import libc
from .framework.apart import ALICE
from .framework.at_rules import opened
from .framework.checks import changes, equal, fails, keeps
from .framework.files import make, read, write
from .framework.registry import case
from .framework.sizes import Resize, size_rules


def ftruncate(path, length):
    with opened(path, os.O_WRONLY) as descriptor:
        libc.call("ftruncate", descriptor, length)


size_rules(Resize("ftruncate", ftruncate))


@case("ftruncate/same-size-updates-times/regular")
def same_size():
    write("file", b"contents")
    with changes("file", "mtime", "ctime"):
        ftruncate("file", 8)


@case("ftruncate/EINVAL-read-only-descriptor/regular")
def read_only_descriptor():
    write("file", b"contents")
    with opened("file", os.O_RDONLY) as descriptor, keeps("file", "size", "mtime", "ctime"):
        fails((errno.EINVAL, errno.EBADF), os.ftruncate, descriptor, 0)


@case("ftruncate/EBADF/regular")
def bad_descriptor():
    write("file", b"contents")
    fails(errno.EBADF, libc.call, "ftruncate", -1, 0)
    with opened("file", os.O_PATH) as descriptor:
        fails(errno.EBADF, os.ftruncate, descriptor, 0)


@case("ftruncate/EINVAL/{kind}", kind=("directory", "fifo"))
def not_regular(kind):
    make(kind, "file")
    flags = os.O_RDONLY if kind == "directory" else os.O_RDWR
    with opened("file", flags) as descriptor:
        fails((errno.EINVAL, errno.EBADF), os.ftruncate, descriptor, 0)


@case("ftruncate/right-is-the-descriptors/regular", root=True)
def right_of_descriptor():
    write("file", b"contents")
    ALICE.owns("file", 0o600)

    def steps():
        with opened("file", os.O_RDWR) as descriptor:
            os.chmod("file", 0)
            os.ftruncate(descriptor, 3)
    ALICE.runs(steps)
    equal(read("file"), b"con", "contents")


@case("ftruncate/works-on-unlinked/regular")
def unlinked():
    write("file", b"contents")
    with opened("file", os.O_RDWR) as descriptor:
        os.unlink("file")
        os.ftruncate(descriptor, 3)
        equal(os.pread(descriptor, 99, 0), b"con", "contents")
        os.ftruncate(descriptor, 5)
        equal(os.pread(descriptor, 99, 0), b"con\0\0", "contents")


@case("ftruncate/works-on-append-descriptor/regular")
def append():
    write("file", b"contents")
    with opened("file", os.O_WRONLY | os.O_APPEND) as descriptor:
        os.ftruncate(descriptor, 3)
        os.write(descriptor, b"!")
    equal(read("file"), b"con!", "contents")
