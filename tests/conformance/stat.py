# SPDX-License-Identifier: BSD-3-Clause
"""stat, lstat, fstat and fstatat."""

import ctypes
import errno
import os
import stat

from .framework import libc
from .framework.apart import ALICE
from .framework.at_rules import AtCall, at_rules, opened
from .framework.checks import check, equal, fails
from .framework.files import ALL_KINDS, PLAIN_KINDS, TYPES, is_kind, make, write
from .framework.paths import PathCall, path_rules
from .framework.registry import case

for_status = ctypes.create_string_buffer(512)

path_rules(PathCall("stat", os.stat, writes=False,
                    raw=lambda pointer: libc.call("stat", pointer, for_status)))
path_rules(PathCall("stat", os.lstat, writes=False, target="symlink", follows=False,
                    argument="-lstat",
                    raw=lambda pointer: libc.call("lstat", pointer, for_status)))
at_rules(AtCall("stat", lambda descriptor, path: libc.call("fstatat", descriptor, path,
                                                           for_status, 0)))


@case("stat/shows-the-kind/{kind}", kind=ALL_KINDS)
def kinds(kind):
    make(kind, "file", 0o640)
    check(is_kind("file", kind), f"mode {os.lstat('file').st_mode:o}")
    if kind not in ("symlink", "directory"):
        equal(stat.S_IMODE(os.stat("file").st_mode), 0o640, "mode")


@case("stat/follows-link/{kind}", kind=PLAIN_KINDS)
def follows(kind):
    make(kind, "file")
    os.symlink("file", "link")
    equal(os.stat("link").st_ino, os.lstat("file").st_ino, "inode")
    equal(stat.S_IFMT(os.stat("link").st_mode), TYPES[kind], "kind")
    check(os.lstat("link").st_ino != os.lstat("file").st_ino, "lstat followed the link")


@case("stat/inode-is-its-own/{kind}", kind=ALL_KINDS)
def unique(kind):
    inodes = {os.lstat(make(kind, f"file{number}")).st_ino for number in range(50)}
    equal(len(inodes), 50, "number of inodes")


@case("stat/same-device/{kind}", kind=ALL_KINDS)
def device(kind):
    make(kind, "file")
    equal(os.lstat("file").st_dev, os.stat(".").st_dev, "device")


@case("stat/by-descriptor-the-same/{kind}", kind=ALL_KINDS)
def by_descriptor(kind):
    make(kind, "file")
    with opened("file", os.O_PATH | os.O_NOFOLLOW) as descriptor:
        equal(os.fstat(descriptor), os.lstat("file"), "status")


@case("stat/needs-no-right-on-the-file/{kind}", root=True, kind=ALL_KINDS)
def no_right(kind):
    make(kind, "file")
    if kind != "symlink":
        os.chmod("file", 0)
    equal(ALICE.does(lambda: os.lstat("file").st_ino), os.lstat("file").st_ino, "inode")


@case("stat/size-and-blocks/regular")
def size():
    for length in (0, 1, 4095, 4096, 4097, 100_000):
        with open("file", "wb", buffering=0) as file:
            file.write(b"x" * length)
            os.fsync(file.fileno())
        status = os.stat("file")
        equal(status.st_size, length, "size")
        check(status.st_blocks * 512 < length + (1 << 17), f"{status.st_blocks} blocks")
        check(length < 4096 or status.st_blocks * 512 >= length, f"{status.st_blocks} blocks")
    check(status.st_blksize >= 512, f"block size {status.st_blksize}")


@case("stat/sees-what-was-just-written/regular")
def at_once():
    with open("file", "wb", buffering=0) as file:
        for number in range(1, 50):
            file.write(b"x" * 100)
            equal(os.stat("file").st_size, number * 100, "size")


@case("stat/fstat-EBADF/regular")
def bad_descriptor():
    fails(errno.EBADF, os.fstat, 1 << 20)


@case("stat/EFAULT-buffer/regular")
def bad_buffer():
    write("file", b"")
    fails(errno.EFAULT, libc.call, "stat", "file", libc.BAD_POINTER)


@case("stat/trailing-slash-means-directory/{kind}", kind=ALL_KINDS)
def slash(kind):
    make(kind, "file")
    if kind == "directory":
        equal(os.lstat("file/").st_ino, os.lstat("file").st_ino, "inode")
    else:
        fails(errno.ENOENT if kind == "symlink" else errno.ENOTDIR, os.lstat, "file/")


@case("stat/fstatat-EINVAL-flag/regular")
def bad_flag():
    make("regular", "file")
    fails(errno.EINVAL, libc.call, "fstatat", libc.AT_FDCWD, "file", for_status, 0x1)


@case("stat/fstatat-AT_EMPTY_PATH/{kind}", kind=ALL_KINDS)
def empty_path(kind):
    make(kind, "file")
    with opened("file", os.O_PATH | os.O_NOFOLLOW) as descriptor:
        equal(libc.call("fstatat", descriptor, "", for_status, libc.AT_EMPTY_PATH), 0, "result")
        fails(errno.ENOENT, libc.call, "fstatat", descriptor, "", for_status, 0)
