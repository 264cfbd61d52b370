# SPDX-License-Identifier: BSD-3-Clause
"""rmdir and unlinkat(AT_REMOVEDIR)."""

import errno
import os

from .framework import libc
from .framework.at_rules import AtCall, at_rules, opened
from .framework.checks import Skip, absent, changes, check, equal, fails, keeps, present
from .framework.deletion import Deletion, deletion_rules
from .framework.files import ALL_KINDS, LEAF_KINDS, counts_directory_links, make
from .framework.mounts import MountedOver
from .framework.paths import PathCall, path_rules
from .framework.registry import case

path_rules(PathCall("rmdir", os.rmdir, raw=lambda pointer: libc.call("rmdir", pointer),
                    target="directory", leaves=False, follows=False, parent=True))
at_rules(AtCall("rmdir", lambda descriptor, path: libc.call(
    "unlinkat", descriptor, path, libc.AT_REMOVEDIR), target="directory", leaves=False))
deletion_rules(Deletion("rmdir", os.rmdir, ("directory",)))


@case("rmdir/ENOTDIR/{kind}", kind=LEAF_KINDS)
def not_a_directory(kind):
    make(kind, "file")
    fails(errno.ENOTDIR, os.rmdir, "file")
    present("file")


@case("rmdir/ENOTDIR-link-to-directory/symlink")
def link_to_directory():
    os.mkdir("dir")
    os.symlink("dir", "link")
    fails(errno.ENOTDIR, os.rmdir, "link")
    fails(errno.ENOTDIR, os.rmdir, "link/")
    present("dir")


@case("rmdir/ENOTEMPTY/{kind}", kind=ALL_KINDS)
def not_empty(kind):
    os.mkdir("dir")
    make(kind, "dir/file")
    with keeps("dir", "mtime", "ctime", "nlink"):
        fails((errno.ENOTEMPTY, errno.EEXIST), os.rmdir, "dir")
    present("dir/file")
    (os.rmdir if kind == "directory" else os.unlink)("dir/file")
    os.rmdir("dir")
    absent("dir")


@case("rmdir/EINVAL-dot/directory")
def dot():
    os.mkdir("dir")
    fails(errno.EINVAL, os.rmdir, "dir/.")
    fails(errno.EINVAL, os.rmdir, ".")


@case("rmdir/ENOTEMPTY-dot-dot/directory")
def dot_dot():
    os.makedirs("dir/inner")
    fails((errno.ENOTEMPTY, errno.EEXIST), os.rmdir, "dir/inner/..")


@case("rmdir/EBUSY-root/directory")
def root_directory():
    fails((errno.EBUSY, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTEMPTY), os.rmdir, "/")


@case("rmdir/EBUSY-mount-point/directory", root=True)
def mount_point():
    os.mkdir("dir")
    MountedOver("dir").fails(errno.EBUSY, os.rmdir, "dir")
    present("dir")


@case("rmdir/parent-loses-a-link/directory")
def parent_link():
    if not counts_directory_links():
        raise Skip("directories here do not count their links")
    os.makedirs("dir/inner")
    equal(os.stat("dir").st_nlink, 3, "link count before")
    os.rmdir("dir/inner")
    equal(os.stat("dir").st_nlink, 2, "link count")


@case("rmdir/accepts-trailing-slash/directory")
def slash():
    os.mkdir("dir")
    os.rmdir("dir/")
    absent("dir")


@case("rmdir/open-descriptor-stays-valid/directory")
def open_descriptor():
    os.mkdir("dir")
    with opened("dir") as descriptor:
        with changes(descriptor, "ctime"):
            os.rmdir("dir")
        check(os.fstat(descriptor).st_nlink in (0, 1), "link count of a removed directory")
        equal(os.listdir(descriptor), [], "names")


@case("rmdir/nothing-is-made-in-removed/{kind}", kind=ALL_KINDS)
def closed_to_new_names(kind):
    os.mkdir("dir")
    os.chdir("dir")
    os.rmdir("../dir")
    fails(errno.ENOENT, make, kind, "file")


@case("rmdir/name-can-be-reused/{kind}", kind=ALL_KINDS)
def reused(kind):
    os.mkdir("name")
    os.rmdir("name")
    make(kind, "name")
    present("name")


@case("rmdir/unlinkat-EINVAL-flag/directory")
def bad_flag():
    os.mkdir("dir")
    fails(errno.EINVAL, libc.call, "unlinkat", libc.AT_FDCWD, "dir", 0x1)
    present("dir")
