# SPDX-License-Identifier: BSD-3-Clause
"""open, openat and creat: who may open what, and what the flags do."""

import errno
import fcntl
import os
import subprocess

from .framework import libc
from .framework.apart import ALICE, BOB, ReadOnly
from .framework.at_rules import AtCall, at_rules, opened
from .framework.checks import (Failure, Skip, absent, changes, check, equal, fails, keeps, mode_is,
                               present)
from .framework.creation import Creation, creation_rules
from .framework.enospc import full_case
from .framework.files import ALL_KINDS, LEAF_KINDS, make, read, write
from .framework.paths import PathCall, path_rules
from .framework.programs import program, start
from .framework.registry import case

ACCESS = {"read": os.O_RDONLY, "write": os.O_WRONLY, "both": os.O_RDWR}
MAKE = os.O_CREAT | os.O_EXCL | os.O_WRONLY


def open_close(path, flags, mode=0o644):
    os.close(os.open(path, flags, mode))


def raw_open(flags):
    return lambda pointer: libc.call("open", pointer, flags, 0o644)


path_rules(PathCall("open", lambda path: open_close(path, os.O_RDONLY), raw=raw_open(os.O_RDONLY),
                    writes=False, argument="-to-read"))
path_rules(PathCall("open", lambda path: open_close(path, os.O_RDWR), raw=raw_open(os.O_RDWR),
                    argument="-to-write"))
path_rules(PathCall("open", lambda path: open_close(path, MAKE), raw=raw_open(MAKE), target=None,
                    follows=False, parent=True, argument="-to-create"))
path_rules(PathCall("open", lambda path: open_close(path, os.O_RDONLY | os.O_DIRECTORY),
                    target="directory", writes=False, argument="-directory"))
at_rules(AtCall("open", lambda descriptor, path: os.close(
    libc.call("openat", descriptor, path, os.O_RDONLY)), argument="-to-read"))
at_rules(AtCall("open", lambda descriptor, path: os.close(
    libc.call("openat", descriptor, path, MAKE, 0o644)), target=None, argument="-to-create"))
creation_rules(Creation("open", lambda path, mode: open_close(path, MAKE, mode)))


@full_case("open/ENOSPC/regular")
def no_space(number):
    open_close(f"file{number}", MAKE)


@case("open/EACCES-{access}-{who}/{kind}", root=True, access=tuple(ACCESS),
      who=("owner", "group", "other"), kind=("regular", "fifo"))
def no_right(access, who, kind):
    """Only the bits of the caller's class count, and of those only what is asked for."""
    shift = {"owner": 6, "group": 3, "other": 0}[who]
    needed = {"read": 4, "write": 2, "both": 6}[access]
    make(kind, "file")
    os.chown("file", ALICE.uid if who == "owner" else 0, ALICE.gid if who == "group" else 0)
    flags = ACCESS[access] | os.O_NONBLOCK
    for lacking in (needed & 4, needed & 2):
        if lacking:
            os.chmod("file", 0o777 & ~(lacking << shift))
            ALICE.fails(errno.EACCES, os.open, "file", flags)
    os.chmod("file", needed << shift)
    with opened("file", os.O_RDWR):
        ALICE.succeeds(os.open, "file", flags)


@case("open/root-needs-no-permission/{kind}", root=True, kind=("regular", "fifo", "directory"))
def root_may(kind):
    make(kind, "file")
    os.chmod("file", 0)
    flags = os.O_RDONLY if kind == "directory" else os.O_RDWR
    with opened("file", flags) as descriptor:
        check(descriptor >= 0, "no descriptor")


@case("open/EACCES-read/directory", root=True)
def unreadable_directory():
    os.mkdir("dir", 0o733)
    ALICE.fails(errno.EACCES, os.listdir, "dir")
    ALICE.fails(errno.EACCES, os.open, "dir", os.O_RDONLY)
    ALICE.succeeds(os.open, "dir", os.O_PATH)


@case("open/EISDIR-{how}/directory", how=("write", "both", "create", "truncate"))
def is_directory(how):
    os.mkdir("dir")
    flags = {"write": os.O_WRONLY, "both": os.O_RDWR, "create": os.O_CREAT | os.O_RDWR,
             "truncate": os.O_RDONLY | os.O_TRUNC}[how]
    with keeps("dir", "mtime", "ctime"):
        fails(errno.EISDIR, os.open, "dir", flags)


@case("open/EISDIR-create-trailing-slash/regular")
def create_with_slash():
    fails(errno.EISDIR, os.open, "file/", os.O_CREAT | os.O_WRONLY)
    absent("file")


@case("open/ENOTDIR-O_DIRECTORY/{kind}", kind=LEAF_KINDS)
def not_a_directory(kind):
    make(kind, "file")
    expected = errno.ENOENT if kind == "symlink" else errno.ENOTDIR
    fails(expected, os.open, "file", os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK)


@case("open/ELOOP-O_NOFOLLOW/symlink")
def no_follow():
    make("regular", "target")
    os.symlink("target", "link")
    fails(errno.ELOOP, os.open, "link", os.O_RDONLY | os.O_NOFOLLOW)
    fails(errno.ELOOP, os.open, "link", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW)
    with opened("link", os.O_PATH | os.O_NOFOLLOW) as descriptor:
        equal(os.fstat(descriptor).st_ino, os.lstat("link").st_ino, "inode")


@case("open/ENXIO-no-reader/fifo")
def fifo_without_reader():
    os.mkfifo("fifo")
    fails(errno.ENXIO, os.open, "fifo", os.O_WRONLY | os.O_NONBLOCK)
    with opened("fifo", os.O_RDONLY | os.O_NONBLOCK):
        open_close("fifo", os.O_WRONLY | os.O_NONBLOCK)


@case("open/ENXIO/socket")
def socket():
    make("socket", "socket")
    for flags in ACCESS.values():
        fails(errno.ENXIO, os.open, "socket", flags)


@case("open/reaches-the-device/char", root=True)
def device():
    make("char", "null", 0o666)
    try:
        with opened("null", os.O_RDWR) as descriptor:
            equal(os.write(descriptor, b"gone"), 4, "bytes written")
            equal(os.read(descriptor, 4), b"", "bytes read")
    except PermissionError:
        raise Skip("mounted nodev") from None


@case("open/ETXTBSY-{how}/regular", how=("write", "both", "truncate"))
def running_program(how):
    flags = {"write": os.O_WRONLY, "both": os.O_RDWR, "truncate": os.O_WRONLY | os.O_TRUNC}[how]
    size = os.stat(program("program")).st_size
    running = start("program")
    try:
        fails(errno.ETXTBSY, os.open, "program", flags)
        equal(os.stat("program").st_size, size, "size")
        open_close("program", os.O_RDONLY)
    finally:
        running.kill()
        running.wait()
    open_close("program", flags)


@case("open/ETXTBSY-exec-while-written/regular")
def written_program():
    program("program")
    with opened("program", os.O_WRONLY):
        try:
            subprocess.Popen([os.path.abspath("program"), "0"]).wait()
            raise Failure("a file that is open for writing was executed")
        except OSError as error:
            if error.errno == errno.EACCES:
                raise Skip("mounted noexec") from None
            equal(error.errno, errno.ETXTBSY, "errno of exec")


@case("open/EROFS-{how}/regular", root=True, how=("write", "both", "truncate", "create"))
def read_only(how):
    os.mkdir("tree")
    write("tree/file", b"contents")
    flags = {"write": os.O_WRONLY, "both": os.O_RDWR, "truncate": os.O_RDONLY | os.O_TRUNC,
             "create": os.O_RDONLY | os.O_CREAT}[how]
    ReadOnly("tree").fails(errno.EROFS, os.open, "tree/" + ("new" if how == "create" else "file"),
                           flags)
    equal(read("tree/file"), b"contents", "contents")
    absent("tree/new")


@case("open/create-of-existing-on-read-only/regular", root=True)
def create_existing_read_only():
    os.mkdir("tree")
    make("regular", "tree/file")
    ReadOnly("tree").succeeds(os.open, "tree/file", os.O_RDONLY | os.O_CREAT)
    ReadOnly("tree").fails(errno.EEXIST, os.open, "tree/file", os.O_CREAT | os.O_EXCL)


@case("open/special-file-on-read-only-may-be-written/fifo", root=True)
def fifo_read_only():
    os.mkdir("tree")
    make("fifo", "tree/fifo")
    ReadOnly("tree").succeeds(os.open, "tree/fifo", os.O_RDWR)


@case("open/O_TRUNC-empties/regular")
def truncate():
    write("file", b"contents")
    with changes("file", "mtime", "ctime"):
        open_close("file", os.O_WRONLY | os.O_TRUNC)
    equal(os.stat("file").st_size, 0, "size")
    equal(read("file"), b"", "contents")
    equal(os.stat("file").st_blocks, 0, "blocks")


@case("open/O_TRUNC-of-empty-updates-times/regular")
def truncate_empty():
    make("regular", "file")
    with changes("file", "mtime", "ctime"):
        open_close("file", os.O_WRONLY | os.O_TRUNC)


@case("open/O_TRUNC-with-O_RDONLY-needs-write-permission/regular", root=True)
def truncate_needs_write():
    write("file", b"contents")
    os.chmod("file", 0o744)
    ALICE.fails(errno.EACCES, os.open, "file", os.O_RDONLY | os.O_TRUNC)
    equal(read("file"), b"contents", "contents")


@case("open/O_TRUNC-clears-setid/regular", root=True)
def truncate_clears():
    write("file", b"contents")
    ALICE.owns("file", 0o6777)
    BOB.does(open_close, "file", os.O_WRONLY | os.O_TRUNC)
    mode_is("file", 0o777)


@case("open/O_TRUNC-ignored/{kind}", kind=("fifo", "char"))
def truncate_special(kind):
    make(kind, "file", 0o666)
    try:
        with keeps("file", "size", "mode"):
            open_close("file", os.O_RDWR | os.O_TRUNC)
    except PermissionError:
        raise Skip("mounted nodev") from None


@case("open/O_CREAT-of-existing-changes-nothing/regular")
def create_existing():
    write("file", b"contents")
    os.chmod("file", 0o604)
    with keeps("file", "mode", "mtime", "ctime", "size"), keeps(".", "mtime", "ctime"):
        open_close("file", os.O_CREAT | os.O_WRONLY, 0o777)


@case("open/O_CREAT-follows-dangling-link/symlink")
def create_through_link():
    os.symlink("target", "link")
    open_close("link", os.O_CREAT | os.O_WRONLY, 0o640)
    mode_is("target", 0o640)
    check(os.path.islink("link"), "the link was replaced")


@case("open/O_CREAT-reaches-existing/{kind}", kind=("fifo", "char"))
def create_reaches(kind):
    make(kind, "file", 0o666)
    try:
        with keeps("file", "ino", "mode"):
            open_close("file", os.O_CREAT | os.O_RDWR)
    except PermissionError:
        raise Skip("mounted nodev") from None


@case("open/new-file-of-mode-{mode}-is-open/regular", root=True, mode=("000", "200", "400"))
def unreadable_new(mode):
    """The mode counts for the next open, not for the one that makes the file."""
    def steps():
        with opened("file", os.O_CREAT | os.O_RDWR) as descriptor:
            os.fchmod(descriptor, int(mode, 8))
        os.unlink("file")
        descriptor = os.open("file", os.O_CREAT | os.O_RDWR, int(mode, 8))
        os.write(descriptor, b"written")
        equal(os.pread(descriptor, 7, 0), b"written", "contents")
        fails(errno.EACCES, os.open, "file", os.O_RDWR)
    ALICE.runs(steps)


@case("open/EPERM-O_NOATIME-not-owner/regular", root=True)
def noatime():
    make("regular", "file", 0o666)
    ALICE.owns("file", 0o666)
    BOB.fails(errno.EPERM, os.open, "file", os.O_RDONLY | os.O_NOATIME)
    ALICE.succeeds(os.open, "file", os.O_RDONLY | os.O_NOATIME)


@case("open/O_PATH-needs-no-permission/{kind}", root=True, kind=ALL_KINDS)
def path_only(kind):
    make(kind, "file")
    if kind != "symlink":
        os.chmod("file", 0)

    def steps():
        descriptor = os.open("file", os.O_PATH | os.O_NOFOLLOW)
        equal(os.fstat(descriptor).st_ino, os.lstat("file").st_ino, "inode")
        fails(errno.EBADF, os.read, descriptor, 1)
        fails(errno.EBADF, os.write, descriptor, b"x")
    ALICE.runs(steps)


@case("open/EBADF-{how}/regular", how=("read", "write"))
def wrong_direction(how):
    write("file", b"contents")
    if how == "read":
        with opened("file", os.O_WRONLY) as descriptor:
            fails(errno.EBADF, os.read, descriptor, 1)
            fails(errno.EBADF, os.pread, descriptor, 1, 0)
    else:
        with opened("file", os.O_RDONLY) as descriptor:
            fails(errno.EBADF, os.write, descriptor, b"x")
            fails(errno.EBADF, os.pwrite, descriptor, b"x", 0)
            fails((errno.EBADF, errno.EINVAL), os.ftruncate, descriptor, 0)
    equal(read("file"), b"contents", "contents")


@case("open/shows-its-flags/regular")
def shows_flags():
    make("regular", "file")
    wanted = os.O_RDWR | os.O_APPEND | os.O_NONBLOCK
    with opened("file", wanted | os.O_CLOEXEC) as descriptor:
        equal(fcntl.fcntl(descriptor, fcntl.F_GETFL) & wanted, wanted, "flags")
        equal(fcntl.fcntl(descriptor, fcntl.F_GETFD), fcntl.FD_CLOEXEC, "descriptor flags")


@case("open/each-has-its-own-offset/regular")
def own_offset():
    write("file", b"abcdef")
    with open("file", "rb", buffering=0) as first, open("file", "rb", buffering=0) as second:
        equal(first.read(3), b"abc", "first read")
        equal(second.read(3), b"abc", "first read of the second")
        equal(first.read(3), b"def", "second read")


@case("open/duplicate-shares-the-offset/regular")
def shared_offset():
    write("file", b"abcdef")
    with open("file", "rb", buffering=0) as first:
        copy = os.dup(first.fileno())
        equal(first.read(2), b"ab", "first read")
        equal(os.read(copy, 2), b"cd", "read of the duplicate")


@case("open/many-at-the-same-time/regular")
def many():
    make("regular", "file")
    descriptors = [os.open("file", os.O_RDWR) for _ in range(200)]
    os.write(descriptors[0], b"x")
    equal({os.pread(descriptor, 1, 0) for descriptor in descriptors}, {b"x"}, "what they read")
    present("file")
