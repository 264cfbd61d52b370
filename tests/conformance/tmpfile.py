# SPDX-License-Identifier: BSD-3-Clause
"""open(O_TMPFILE): a file without a name, and linkat, which gives it one."""

import errno
import os

from .framework import libc
from .framework.apart import ALICE, ReadOnly
from .framework.checks import Skip, absent, changes, equal, fails, keeps, mode_is
from .framework.files import OBSTACLES, make, read
from .framework.paths import PathCall, path_rules
from .framework.registry import case


def tmpfile(folder=".", flags=os.O_RDWR, mode=0o644):
    """A descriptor; a skip if the filesystem has no files without names."""
    try:
        return os.open(folder, os.O_TMPFILE | flags, mode)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR):
            raise Skip("no O_TMPFILE") from None
        raise


def link(descriptor, name):
    libc.call("linkat", libc.AT_FDCWD, f"/proc/self/fd/{descriptor}", libc.AT_FDCWD, name,
              libc.AT_SYMLINK_FOLLOW)


def needs_tmpfile(_owner):
    os.close(tmpfile())


path_rules(PathCall("tmpfile", lambda path: os.close(tmpfile(path)), target="directory",
                    others=needs_tmpfile, raw=lambda pointer: libc.call(
                        "open", pointer, os.O_TMPFILE | os.O_RDWR, 0o644)))


@case("tmpfile/has-no-name/regular")
def no_name():
    os.mkdir("dir")
    with keeps("dir", "mtime", "ctime", "nlink"):
        descriptor = tmpfile("dir")
    equal(os.listdir("dir"), [], "names")
    equal(os.fstat(descriptor).st_nlink, 0, "link count")
    equal(os.fstat(descriptor).st_size, 0, "size")


@case("tmpfile/holds-data/regular")
def holds():
    descriptor = tmpfile()
    os.write(descriptor, b"contents")
    os.ftruncate(descriptor, 100_000)
    equal(os.pread(descriptor, 10, 0), b"contents\0\0", "contents")
    equal(os.fstat(descriptor).st_size, 100_000, "size")


@case("tmpfile/gets-a-name/regular")
def gets_name():
    os.mkdir("dir")
    descriptor = tmpfile("dir")
    os.write(descriptor, b"contents")
    with changes("dir", "mtime", "ctime"), changes(descriptor, "ctime"):
        link(descriptor, "dir/file")
    equal(read("dir/file"), b"contents", "contents")
    equal(os.fstat(descriptor).st_nlink, 1, "link count")
    equal(os.stat("dir/file").st_ino, os.fstat(descriptor).st_ino, "inode")


@case("tmpfile/gets-a-name-by-AT_EMPTY_PATH/regular", root=True)
def by_descriptor():
    descriptor = tmpfile()
    libc.call("linkat", descriptor, "", libc.AT_FDCWD, "file", libc.AT_EMPTY_PATH)
    equal(os.stat("file").st_ino, os.fstat(descriptor).st_ino, "inode")


@case("tmpfile/gets-two-names/regular")
def two_names():
    descriptor = tmpfile()
    link(descriptor, "first")
    link(descriptor, "second")
    equal(os.fstat(descriptor).st_nlink, 2, "link count")
    os.unlink("first")
    os.unlink("second")
    equal(os.fstat(descriptor).st_nlink, 0, "link count")
    fails(errno.ENOENT, link, descriptor, "third")


@case("tmpfile/EEXIST/regular")
def taken():
    descriptor = tmpfile()
    make("regular", "file")
    with keeps("file", "ino"):
        fails(errno.EEXIST, link, descriptor, "file")
    equal(os.fstat(descriptor).st_nlink, 0, "link count")


@case("tmpfile/O_EXCL-never-gets-a-name/regular")
def exclusive():
    descriptor = tmpfile(flags=os.O_RDWR | os.O_EXCL)
    fails(errno.ENOENT, link, descriptor, "file")
    absent("file")


@case("tmpfile/mode-and-umask/regular")
def masked():
    os.umask(0o027)
    descriptor = tmpfile(mode=0o666)
    link(descriptor, "file")
    mode_is("file", 0o640)


@case("tmpfile/owner-is-effective-user/regular", root=True)
def owner():
    def steps():
        status = os.fstat(tmpfile())
        return status.st_uid, status.st_gid
    equal(ALICE.does(steps), (ALICE.uid, ALICE.gid), "owner and group")


@case("tmpfile/owned-by-setgid-parents-group/regular", root=True)
def setgid_parent():
    os.mkdir("dir")
    os.chown("dir", 0, 64999)
    os.chmod("dir", 0o2777)
    equal(ALICE.does(lambda: os.fstat(tmpfile("dir")).st_gid), 64999, "group")


@case("tmpfile/EACCES-parent-not-writable/regular", root=True)
def unwritable():
    needs_tmpfile(None)
    os.mkdir("dir", 0o755)
    ALICE.fails(errno.EACCES, tmpfile, "dir")


@case("tmpfile/EROFS-made/regular", root=True)
def read_only():
    needs_tmpfile(None)
    os.mkdir("tree")
    ReadOnly("tree").fails(errno.EROFS, tmpfile, "tree")


@case("tmpfile/EINVAL-read-only-descriptor/regular")
def not_writable():
    needs_tmpfile(None)
    fails(errno.EINVAL, os.open, ".", os.O_TMPFILE | os.O_RDONLY, 0o644)


@case("tmpfile/ENOTDIR/{kind}", kind=OBSTACLES)
def not_a_directory(kind):
    needs_tmpfile(None)
    make(kind, "file")
    fails(errno.ENOTDIR, os.open, "file", os.O_TMPFILE | os.O_RDWR, 0o644)


@case("tmpfile/attributes-can-be-set/regular")
def attributes():
    descriptor = tmpfile()
    with changes(descriptor, "ctime"):
        os.fchmod(descriptor, 0o604)
    os.utime(descriptor, ns=(5, 6))
    link(descriptor, "file")
    mode_is("file", 0o604)
    equal(os.stat("file").st_mtime_ns, 6, "mtime")
