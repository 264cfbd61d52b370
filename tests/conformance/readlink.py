# SPDX-License-Identifier: BSD-3-Clause
"""readlink and readlinkat."""

import ctypes
import errno
import os

from .framework import libc
from .framework.apart import ALICE
from .framework.at_rules import AtCall, at_rules, opened
from .framework.checks import equal, fails
from .framework.files import make
from .framework.paths import PathCall, path_rules
from .framework.registry import case

path_rules(PathCall("readlink", os.readlink, target="symlink", follows=False, writes=False,
                    raw=lambda pointer: libc.call("readlink", pointer,
                                                  ctypes.create_string_buffer(10), 10)))
at_rules(AtCall("readlink", lambda descriptor, path: libc.call(
    "readlinkat", descriptor, path, ctypes.create_string_buffer(99), 99), target="symlink"))


@case("readlink/EINVAL/{kind}", kind=("regular", "directory", "fifo", "socket", "char", "block"))
def not_a_link(kind):
    make(kind, "file")
    fails(errno.EINVAL, os.readlink, "file")


@case("readlink/cuts-to-the-buffer/symlink")
def cuts():
    os.symlink("0123456789", "link")
    for size in (1, 4, 9, 10, 30):
        buffer = ctypes.create_string_buffer(b"#" * 40)
        equal(libc.call("readlink", "link", buffer, size), min(size, 10), "bytes")
        equal(buffer.raw[:min(size, 10) + 1], b"0123456789"[:size] + b"#", "buffer")


@case("readlink/EINVAL-no-buffer/symlink")
def no_buffer():
    os.symlink("target", "link")
    fails(errno.EINVAL, libc.call, "readlink", "link", ctypes.create_string_buffer(1), 0)


@case("readlink/EFAULT-buffer/symlink")
def bad_buffer():
    os.symlink("target", "link")
    fails(errno.EFAULT, libc.call, "readlink", "link", libc.BAD_POINTER, 10)


@case("readlink/needs-no-right-on-the-link/symlink", root=True)
def anybody():
    os.symlink("target", "link")
    equal(ALICE.does(os.readlink, "link"), "target", "target")


@case("readlink/readlinkat-empty-path/symlink")
def by_descriptor():
    os.symlink("target", "link")
    with opened("link", os.O_PATH | os.O_NOFOLLOW) as descriptor:
        buffer = ctypes.create_string_buffer(99)
        equal(libc.call("readlinkat", descriptor, "", buffer, 99), 6, "bytes")
        equal(buffer.value, b"target", "target")
