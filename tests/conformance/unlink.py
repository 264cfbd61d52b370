# SPDX-License-Identifier: BSD-3-Clause
"""unlink and unlinkat."""

import errno
import os

from .framework import libc
from .framework.at_rules import AtCall, at_rules, opened
from .framework.checks import absent, changes, equal, fails, keeps, present
from .framework.deletion import Deletion, deletion_rules
from .framework.files import ALL_KINDS, LEAF_KINDS, make, read, write
from .framework.paths import PathCall, path_rules
from .framework.registry import case

path_rules(PathCall("unlink", os.unlink, raw=lambda pointer: libc.call("unlink", pointer),
                    leaves=False, follows=False, parent=True))
at_rules(AtCall("unlink", lambda descriptor, path: libc.call("unlinkat", descriptor, path, 0),
                leaves=False))
deletion_rules(Deletion("unlink", os.unlink, LEAF_KINDS))


@case("unlink/EISDIR/directory")
def directory():
    os.mkdir("dir")
    with keeps(".", "mtime", "ctime"):
        fails((errno.EISDIR, errno.EPERM), os.unlink, "dir")
        fails((errno.EISDIR, errno.EPERM), os.unlink, "dir/")
    present("dir")


@case("unlink/EISDIR-{name}/directory", name=("dot", "dot-dot"))
def dots(name):
    fails((errno.EISDIR, errno.EPERM, errno.EBUSY), os.unlink, {"dot": ".", "dot-dot": ".."}[name])


@case("unlink/removes-link-not-target/{kind}", kind=ALL_KINDS)
def link_to(kind):
    make(kind, "target")
    os.symlink("target", "link")
    os.unlink("link")
    absent("link")
    present("target")


@case("unlink/ENOTDIR-link-to-directory-with-slash/symlink")
def link_with_slash():
    os.mkdir("dir")
    os.symlink("dir", "link")
    fails(errno.ENOTDIR, os.unlink, "link/")
    present("link")


@case("unlink/other-link-loses-one/{kind}", kind=LEAF_KINDS)
def link_count(kind):
    make(kind, "first")
    os.link("first", "second", follow_symlinks=False)
    equal(os.lstat("first").st_nlink, 2, "link count before")
    with changes("second", "ctime"):
        os.unlink("first")
    equal(os.lstat("second").st_nlink, 1, "link count")


@case("unlink/other-link-keeps-data-and-mtime/regular")
def data_of_other_link():
    write("first", b"contents")
    os.link("first", "second")
    with keeps("second", "mtime", "size", "ino"):
        os.unlink("first")
    absent("first")
    equal(read("second"), b"contents", "contents")


@case("unlink/open-file-lives-on/regular")
def open_file():
    with open("file", "w+b", buffering=0) as file:
        file.write(b"before")
        with changes(file.fileno(), "ctime"):
            os.unlink("file")
        equal(os.fstat(file.fileno()).st_nlink, 0, "link count")
        file.write(b" after")
        os.ftruncate(file.fileno(), 1 << 20)
        equal(os.pread(file.fileno(), 12, 0), b"before after", "contents")
        equal(os.fstat(file.fileno()).st_size, 1 << 20, "size")


@case("unlink/open-file-lives-on-by-every-descriptor/regular")
def two_descriptors():
    write("file", b"contents")
    with open("file", "rb") as first, open("file", "r+b", buffering=0) as second:
        os.unlink("file")
        absent("file")
        second.write(b"CONTENTS")
        equal(first.read(), b"CONTENTS", "contents")


@case("unlink/new-file-of-the-name-is-another/regular")
def reused_name():
    with open("file", "w+b", buffering=0) as old:
        old.write(b"old")
        os.unlink("file")
        write("file", b"new file")
        equal(os.pread(old.fileno(), 100, 0), b"old", "contents of the old file")
        equal(read("file"), b"new file", "contents of the new file")


@case("unlink/open-fifo-lives-on/fifo")
def open_fifo():
    os.mkfifo("fifo")
    with opened("fifo", os.O_RDWR) as descriptor:
        os.unlink("fifo")
        absent("fifo")
        os.write(descriptor, b"through")
        equal(os.read(descriptor, 7), b"through", "what came through")


@case("unlink/gives-space-back/regular", alone=True)
def space():
    """In the end: some filesystems free blocks a moment later."""
    block = b"x" * (1 << 20)
    with open("file", "wb", buffering=0) as file:
        for _ in range(8):
            file.write(block)
        os.fsync(file.fileno())
    used = os.statvfs(".").f_bfree
    frame = os.statvfs(".").f_frsize
    os.unlink("file")
    os.sync()
    for _ in range(50):
        if (os.statvfs(".").f_bfree - used) * frame >= 6 << 20:
            break
        with changes(".", "mtime"):
            write("waiting", b"")
            os.unlink("waiting")
    freed = (os.statvfs(".").f_bfree - used) * frame
    equal(freed >= 6 << 20, True, f"8 MiB freed, seen as {freed} bytes")


@case("unlink/unlinkat-EISDIR/directory")
def at_directory():
    os.mkdir("dir")
    fails((errno.EISDIR, errno.EPERM), libc.call, "unlinkat", libc.AT_FDCWD, "dir", 0)


@case("unlink/unlinkat-EINVAL-flag/regular")
def bad_flag():
    make("regular", "file")
    fails(errno.EINVAL, libc.call, "unlinkat", libc.AT_FDCWD, "file", 0x1)
    present("file")
