# SPDX-License-Identifier: BSD-3-Clause
"""getxattr, lgetxattr and fgetxattr."""

import ctypes
import errno
import os

from .framework import libc
from .framework.apart import ALICE
from .framework.attributes import (NAME, TRUSTED, get, give, names, needs, probe, put,
                                   with_attribute)
from .framework.checks import equal, fails, keeps
from .framework.files import ALL_KINDS, make
from .framework.paths import PathCall, path_rules
from .framework.registry import case

BOTH = ("regular", "directory")


for_buffer = ctypes.create_string_buffer(100)
path_rules(PathCall("getxattr", lambda path: os.getxattr(path, NAME), others=probe, ready=give,
                    writes=False, raw=lambda pointer: libc.call("getxattr", pointer, NAME,
                                                                for_buffer, 100)))


@case("getxattr/size-of-value/{kind}", kind=BOTH)
def size(kind):
    make(kind, "file")
    needs(NAME, "file")
    for value in (b"", b"12345", bytes(1000)):
        put("file", value)
        equal(libc.call("getxattr", "file", NAME, None, 0), len(value), "size")


@case("getxattr/ERANGE/{kind}", kind=BOTH)
def small_buffer(kind):
    make(kind, "file")
    needs(NAME, "file")
    put("file", b"12345")
    buffer = ctypes.create_string_buffer(b"#" * 20)
    fails(errno.ERANGE, libc.call, "getxattr", "file", NAME, buffer, 4)
    equal(libc.call("getxattr", "file", NAME, buffer, 5), 5, "size")
    equal(buffer.raw[:6], b"12345#", "buffer")


@case("getxattr/ENODATA/{kind}", kind=ALL_KINDS)
def no_data(kind):
    make("regular", "probe")
    needs(NAME, "probe")
    make(kind, "file")
    fails((errno.ENODATA, errno.EPERM, errno.EOPNOTSUPP) if kind not in BOTH else errno.ENODATA,
          get, "file")


@case("getxattr/EACCES-without-read/{kind}", root=True, kind=BOTH)
def without_read(kind):
    make(kind, "file")
    needs(NAME, "file")
    put("file")
    os.chmod("file", 0o733)
    ALICE.fails(errno.EACCES, get, "file")
    os.chmod("file", 0o744)
    equal(ALICE.does(get, "file"), b"value", "value")


@case("getxattr/EFAULT-{what}/regular", what=("name", "buffer"))
def bad_pointer(what):
    with_attribute("file")
    if what == "name":
        fails(errno.EFAULT, libc.call, "getxattr", "file", libc.BAD_POINTER, for_buffer, 100)
    else:
        fails(errno.EFAULT, libc.call, "getxattr", "file", NAME, libc.BAD_POINTER, 100)


@case("getxattr/ERANGE-empty-name/regular")
def empty_name():
    with_attribute("file")
    fails(errno.ERANGE, get, "file", "")


@case("getxattr/changes-nothing/{kind}", kind=BOTH)
def changes_nothing(kind):
    make(kind, "file")
    needs(NAME, "file")
    put("file")
    with keeps("file", "ctime", "mtime", "atime"):
        equal(get("file"), b"value", "value")


@case("getxattr/follows-link/symlink")
def follows():
    with_attribute("file")
    os.symlink("file", "link")
    equal(os.getxattr("link", NAME), b"value", "value")
    fails((errno.ENODATA, errno.EPERM, errno.EOPNOTSUPP), os.getxattr, "link", NAME,
          follow_symlinks=False)


@case("getxattr/one-value-by-every-name/regular")
def hard_links():
    with_attribute("file")
    os.link("file", "second")
    put("second", b"changed")
    equal(get("file"), b"changed", "value")


@case("getxattr/link-has-its-own/symlink", root=True)
def of_link():
    make("regular", "file")
    needs(TRUSTED, "file")
    os.symlink("file", "link")
    put("link", b"of the link", TRUSTED)
    equal(get("link", TRUSTED), b"of the link", "value")
    fails(errno.ENODATA, get, "file", TRUSTED)
    equal(names("link"), [TRUSTED], "names")
    os.removexattr("link", TRUSTED, follow_symlinks=False)
    equal(names("link"), [], "names")
