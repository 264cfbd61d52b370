# SPDX-License-Identifier: BSD-3-Clause
"""listxattr."""

import ctypes
import errno
import os

from .framework import libc
from .framework.apart import ALICE
from .framework.attributes import NAME, names, needs, put, with_attribute
from .framework.checks import check, equal, fails, keeps
from .framework.files import ALL_KINDS, make
from .framework.paths import PathCall, path_rules
from .framework.registry import case

BOTH = ("regular", "directory")
for_buffer = ctypes.create_string_buffer(65536)

path_rules(PathCall("listxattr", os.listxattr, writes=False,
                    raw=lambda pointer: libc.call("listxattr", pointer, for_buffer, 65536)))


@case("listxattr/none/{kind}", kind=ALL_KINDS)
def none(kind):
    make(kind, "file")
    equal(names("file"), [], "names")


@case("listxattr/all-and-only-those/{kind}", kind=BOTH)
def all_names(kind):
    make(kind, "file")
    needs(NAME, "file")
    for letter in "cab":
        put("file", b"", f"{NAME}.{letter}")
    os.removexattr("file", NAME + ".a")
    equal(names("file"), [NAME + ".b", NAME + ".c"], "names")


@case("listxattr/size-and-ERANGE/{kind}", kind=BOTH)
def sizes(kind):
    make(kind, "file")
    needs(NAME, "file")
    put("file")
    size = libc.call("listxattr", "file", None, 0)
    check(size >= len(NAME) + 1, f"size {size}")
    fails(errno.ERANGE, libc.call, "listxattr", "file", for_buffer, size - 1)
    equal(libc.call("listxattr", "file", for_buffer, size), size, "size")
    check(NAME.encode() + b"\0" in for_buffer.raw[:size], "the name is not there")


@case("listxattr/EFAULT-buffer/regular")
def bad_buffer():
    with_attribute("file")
    fails(errno.EFAULT, libc.call, "listxattr", "file", libc.BAD_POINTER, 100)


@case("listxattr/needs-no-read-permission/{kind}", root=True, kind=BOTH)
def no_permission(kind):
    make(kind, "file")
    needs(NAME, "file")
    put("file")
    os.chmod("file", 0)
    equal(ALICE.does(names, "file"), [NAME], "names")


@case("listxattr/changes-nothing/{kind}", kind=BOTH)
def changes_nothing(kind):
    make(kind, "file")
    with keeps("file", "ctime", "mtime", "atime"):
        check(isinstance(os.listxattr("file"), list), "no list")
