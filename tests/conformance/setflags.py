# SPDX-License-Identifier: BSD-3-Clause
"""FS_IOC_SETFLAGS: what a file or a directory that is immutable or append-only refuses, with
EPERM, root or not."""

import contextlib
import errno
import fcntl
import os
import struct

from .framework import libc
from .framework.apart import ALICE
from .framework.checks import Skip, check, equal, fails, keeps, present
from .framework.files import make, read, unsupported, write
from .framework.registry import add, case

GET_FLAGS, SET_FLAGS = 0x80086601, 0x40086602
FLAGS = {"immutable": 0x10, "append-only": 0x20}
SOME = ((1, 0), (2, 0))

# What is done to `file`, a regular file or a directory with `file/inner` in it.
TO_FILE = {
    "chmod": lambda: os.chmod("file", 0o600),
    "chown": lambda: os.chown("file", 1, 1),
    "utimensat": lambda: libc.utimensat(libc.AT_FDCWD, "file", SOME),
    "link": lambda: os.link("file", "second"),
    "rename": lambda: os.rename("file", "moved"),
    "rename-over": lambda: os.rename("spare", "file"),
    "unlink": lambda: os.unlink("file"),
    "truncate": lambda: os.truncate("file", 1),
    "open-to-write": lambda: os.open("file", os.O_WRONLY),
    "open-O_TRUNC": lambda: os.open("file", os.O_RDONLY | os.O_TRUNC),
    "setxattr": lambda: os.setxattr("file", "user.x", b"1"),
}
TO_DIRECTORY = {
    "chmod": lambda: os.chmod("file", 0o700),
    "rmdir": lambda: os.rmdir("file"),
    "rename": lambda: os.rename("file", "moved"),
    "mkdir-in": lambda: os.mkdir("file/new"),
    "create-in": lambda: os.open("file/new", os.O_CREAT | os.O_WRONLY),
    "symlink-in": lambda: os.symlink("x", "file/new"),
    "mkfifo-in": lambda: os.mkfifo("file/new"),
    "link-in": lambda: os.link("spare", "file/new"),
    "unlink-in": lambda: os.unlink("file/inner"),
    "rename-in": lambda: os.rename("spare", "file/new"),
    "rename-out": lambda: os.rename("file/inner", "new"),
}
APPEND_ONLY_ALLOWS = ("mkdir-in", "create-in", "symlink-in", "mkfifo-in", "link-in", "rename-in")


def get_flags(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return struct.unpack("l", fcntl.ioctl(descriptor, GET_FLAGS, bytes(8)))[0] & 0xffffffff
    finally:
        os.close(descriptor)


def set_flags(path, flags):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, SET_FLAGS, struct.pack("l", flags))
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def flagged(path, flag):
    try:
        before = get_flags(path)
        set_flags(path, before | FLAGS[flag])
    except OSError as error:
        if unsupported(error) or error.errno == errno.EPERM:
            raise Skip(f"files cannot be made {flag}") from None
        raise
    try:
        yield
    finally:
        set_flags(path, before)


def prepare(kind):
    if kind == "directory":
        os.mkdir("file")
        make("regular", "file/inner")
    else:
        write("file", b"contents")
    make("regular", "spare")


def needs_user_attributes(path):
    try:
        os.setxattr(path, "user.probe", b"")
    except OSError as error:
        if unsupported(error):
            raise Skip("no user attributes") from None
        raise


def refused(kind, flag, action):
    prepare(kind)
    if action is TO_FILE["setxattr"]:
        needs_user_attributes("spare")
    with flagged("file", flag), keeps("file", "ino", "mode", "uid", "size", "mtime", "nlink"):
        fails(errno.EPERM, action)
    present("file")


def allowed(kind, flag, action):
    prepare(kind)
    with flagged("file", flag):
        action()
        check(get_flags("file") & FLAGS[flag], "the flag went away")


def register():
    for flag in FLAGS:
        for what, action in TO_FILE.items():
            add(f"setflags/{flag}-EPERM-{what}/regular",
                lambda flag=flag, action=action: refused("regular", flag, action), root=True)
        for what, action in TO_DIRECTORY.items():
            if flag == "append-only" and what in APPEND_ONLY_ALLOWS:
                add(f"setflags/{flag}-allows-{what}/directory",
                    lambda action=action: allowed("directory", "append-only", action), root=True)
            else:
                add(f"setflags/{flag}-EPERM-{what}/directory",
                    lambda flag=flag, action=action: refused("directory", flag, action), root=True)


register()


@case("setflags/immutable-can-be-read/regular", root=True)
def readable():
    prepare("regular")
    with flagged("file", "immutable"):
        equal(read("file"), b"contents", "contents")


@case("setflags/append-only-appends/regular", root=True)
def appends():
    prepare("regular")
    with flagged("file", "append-only"):
        with open("file", "ab", buffering=0) as file:
            file.write(b" and more")
            fails(errno.EPERM, os.ftruncate, file.fileno(), 0)
    equal(read("file"), b"contents and more", "contents")


@case("setflags/append-only-without-O_APPEND/regular", root=True)
def drops_append():
    """A descriptor may not drop O_APPEND; where it may, it can no longer write."""
    prepare("regular")
    with flagged("file", "append-only"), open("file", "ab", buffering=0) as file:
        try:
            fcntl.fcntl(file.fileno(), fcntl.F_SETFL, 0)
        except PermissionError:
            check(fcntl.fcntl(file.fileno(), fcntl.F_GETFL) & os.O_APPEND, "O_APPEND is gone")
        else:
            fails(errno.EPERM, os.pwrite, file.fileno(), b"over", 0)
    equal(read("file"), b"contents", "contents")


@case("setflags/append-only-utimes-now/regular", root=True)
def touch():
    prepare("regular")
    with flagged("file", "append-only"):
        libc.utimensat(libc.AT_FDCWD, "file", None)
        fails(errno.EPERM, libc.utimensat, libc.AT_FDCWD, "file", SOME)


@case("setflags/immutable-stops-fchmod-of-open-file/regular", root=True)
def descriptor_at_hand():
    prepare("regular")
    with open("file", "r+b", buffering=0) as file, flagged("file", "immutable"):
        with keeps("file", "mode", "ctime"):
            fails(errno.EPERM, os.fchmod, file.fileno(), 0o600)


@case("setflags/{flag}-shown/{kind}", root=True, flag=tuple(FLAGS), kind=("regular", "directory"))
def shown(flag, kind):
    make(kind, "file")
    with flagged("file", flag):
        check(get_flags("file") & FLAGS[flag], "the flag is not shown")
    check(not get_flags("file") & FLAGS[flag], "the flag did not go away")


@case("setflags/EPERM-not-root/{kind}", root=True, kind=("regular", "directory"))
def not_root(kind):
    make(kind, "file")
    ALICE.owns("file", 0o755)
    with flagged("file", "immutable"):
        ALICE.fails(errno.EPERM, set_flags, "file", 0)
    ALICE.fails(errno.EPERM, set_flags, "file", get_flags("file") | FLAGS["immutable"])
