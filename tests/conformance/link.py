# SPDX-License-Identifier: BSD-3-Clause
"""link and linkat."""

import errno
import os
import time

from .framework import libc
from .framework.apart import ALICE, BOB, ReadOnly
from .framework.at_rules import AtCall, at_rules, opened
from .framework.checks import Skip, absent, changes, check, equal, fails, keeps, mode_is, present
from .framework.enospc import full_case
from .framework.files import ALL_KINDS, LEAF_KINDS, is_kind, make, read, write
from .framework.mounts import MountedOver
from .framework.paths import PathCall, path_rules
from .framework.registry import case

LINKS_TRIED = 66_000   # more than ext4 allows
LINK_SECONDS = 6


def link(source, target):
    libc.call("link", source, target)


def linkat(source, target, flags=0, source_fd=libc.AT_FDCWD, target_fd=libc.AT_FDCWD):
    libc.call("linkat", source_fd, source, target_fd, target, flags)


def make_source(owner):
    make("regular", "source")
    if owner:
        os.chown("source", owner.uid, owner.gid)


path_rules(PathCall("link", lambda path: link(path, "made"), argument="-source", follows=False,
                    raw=lambda pointer: link(pointer, "made"), writes=None, touches=True))
path_rules(PathCall("link", lambda path: link("source", path), argument="-target", target=None,
                    raw=lambda pointer: link("source", pointer), others=make_source,
                    follows=False, parent=True, writes=None))
at_rules(AtCall("link", lambda descriptor, path: linkat(path, "made", source_fd=descriptor),
                argument="-source", touches=True))
at_rules(AtCall("link", lambda descriptor, path: linkat(
    os.path.abspath("source"), path, target_fd=descriptor), argument="-target", target=None,
    others=make_source))


@full_case("link/ENOSPC/regular", prepare=lambda: make("regular", "source"))
def no_space(number):
    if number >= 60_000:
        raise Skip("60000 more links still fit")
    link("source", f"{number:0250}")


@case("link/is-the-same-file/{kind}", kind=LEAF_KINDS)
def same_file(kind):
    make(kind, "file")
    link("file", "second")
    first, second = os.lstat("file"), os.lstat("second")
    for field in ("ino", "mode", "uid", "gid", "rdev", "size", "mtime_ns", "ctime_ns"):
        equal(getattr(second, "st_" + field), getattr(first, "st_" + field), field)
    equal((first.st_nlink, second.st_nlink), (2, 2), "link counts")


@case("link/counts-every-name/{kind}", kind=LEAF_KINDS)
def counts(kind):
    make(kind, "file")
    for number in range(2, 12):
        link("file", f"name{number}")
        equal(os.lstat("file").st_nlink, number, "link count")


@case("link/updates-ctime/{kind}", kind=LEAF_KINDS)
def updates_ctime(kind):
    make(kind, "file")
    with changes("file", "ctime"), keeps("file", "mtime", "atime"):
        link("file", "second")


@case("link/updates-parent-times/{kind}", kind=LEAF_KINDS)
def parent_times(kind):
    os.mkdir("from")
    os.mkdir("to")
    make(kind, "from/file")
    with changes("to", "mtime", "ctime"), keeps("from", "mtime", "ctime"):
        link("from/file", "to/file")


@case("link/EEXIST/{kind}", kind=ALL_KINDS)
def taken(kind):
    make("regular", "file")
    make(kind, "taken")
    with keeps("file", "nlink", "ctime"), keeps("taken", "ino", "ctime"), keeps(".", "mtime"):
        fails(errno.EEXIST, link, "file", "taken")
    check(is_kind("taken", kind), "what was there changed its kind")


@case("link/EPERM/directory")
def directory():
    os.mkdir("dir")
    with keeps("dir", "nlink", "ctime"):
        fails(errno.EPERM, link, "dir", "second")
    absent("second")


@case("link/ENOENT-name-with-slash/regular")
def name_with_slash():
    make("regular", "file")
    fails(errno.ENOENT, link, "file", "second/")
    absent("second")


@case("link/EXDEV/{kind}", root=True, kind=("regular", "fifo", "symlink"))
def other_mount(kind):
    os.mkdir("tree")
    make(kind, "file")
    MountedOver("tree").fails(errno.EXDEV, link, "file", "tree/file")
    equal(os.lstat("file").st_nlink, 1, "link count")


@case("link/EROFS/regular", root=True)
def read_only():
    os.mkdir("tree")
    make("regular", "tree/file")
    with keeps("tree/file", "nlink", "ctime"):
        ReadOnly("tree").fails(errno.EROFS, link, "tree/file", "tree/second")


@case("link/EPERM-protected/{kind}", root=True, kind=("regular", "fifo"))
def protected(kind):
    """fs.protected_hardlinks: only what one owns, or may read and write and is harmless."""
    try:
        with open("/proc/sys/fs/protected_hardlinks", "rb") as setting:
            if setting.read().strip() != b"1":
                raise Skip("fs.protected_hardlinks is off")
    except FileNotFoundError:
        raise Skip("no fs.protected_hardlinks") from None
    make(kind, "file")
    ALICE.owns("file", 0o644)
    BOB.fails(errno.EPERM, link, "file", "second")
    ALICE.succeeds(link, "file", "second")


@case("link/EMLINK/regular")
def too_many():
    make("regular", "file")
    end = time.monotonic() + LINK_SECONDS
    for number in range(1, LINKS_TRIED):
        if time.monotonic() > end:
            raise Skip(f"{number} links took {LINK_SECONDS} s and still fit")
        try:
            link("file", f"n{number}")
        except OSError as error:
            equal(error.errno, errno.EMLINK, "errno")
            equal(os.stat("file").st_nlink, number, "link count")
            os.unlink("n1")
            link("file", "again")
            return
    raise Skip(f"{LINKS_TRIED} links still fit")


@case("link/one-content-and-mode/regular")
def one_content():
    write("file", b"first")
    link("file", "second")
    with open("second", "ab") as file:
        file.write(b", second")
    equal(read("file"), b"first, second", "contents")
    os.chmod("second", 0o604)
    mode_is("file", 0o604)


@case("link/first-name-may-go/regular")
def first_may_go():
    write("file", b"contents")
    link("file", "second")
    os.unlink("file")
    equal(read("second"), b"contents", "contents")
    link("second", "file")
    equal(os.lstat("file").st_nlink, 2, "link count")


@case("link/does-not-follow/symlink")
def does_not_follow():
    make("regular", "file")
    os.symlink("file", "link")
    link("link", "second")
    equal(os.readlink("second"), "file", "target")
    equal(os.lstat("file").st_nlink, 1, "link count of the target")


@case("link/linkat-AT_SYMLINK_FOLLOW/{kind}", kind=("regular", "fifo", "socket", "char", "block"))
def follows(kind):
    make(kind, "file")
    os.symlink("file", "link")
    linkat("link", "second", libc.AT_SYMLINK_FOLLOW)
    equal(os.lstat("second").st_ino, os.lstat("file").st_ino, "inode")
    check(is_kind("second", kind), "not the target")


@case("link/linkat-AT_EMPTY_PATH/regular", root=True)
def by_descriptor():
    make("regular", "file")
    with opened("file", os.O_RDONLY) as descriptor:
        linkat("", "second", libc.AT_EMPTY_PATH, source_fd=descriptor)
    equal(os.lstat("second").st_ino, os.lstat("file").st_ino, "inode")


@case("link/linkat-ENOENT-unlinked/regular", root=True)
def unlinked():
    make("regular", "file")
    with opened("file", os.O_RDWR) as descriptor:
        os.unlink("file")
        fails(errno.ENOENT, linkat, "", "second", libc.AT_EMPTY_PATH, source_fd=descriptor)
        fails(errno.ENOENT, linkat, f"/proc/self/fd/{descriptor}", "second",
              libc.AT_SYMLINK_FOLLOW)
    absent("second")


@case("link/linkat-EINVAL-flag/regular")
def bad_flag():
    make("regular", "file")
    fails(errno.EINVAL, linkat, "file", "second", 0x1)
    present("file")
    absent("second")
