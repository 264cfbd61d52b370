# SPDX-License-Identifier: BSD-3-Clause
"""chmod and fchmod."""

import errno
import os
import stat

from .framework import libc
from .framework.apart import ALICE, BOB, FRIEND, ReadOnly
from .framework.at_rules import opened
from .framework.checks import changes, check, equal, fails, keeps, mode, mode_is
from .framework.files import PLAIN_KINDS, is_kind, make
from .framework.paths import PathCall, path_rules
from .framework.registry import case

path_rules(PathCall("chmod", lambda path: os.chmod(path, 0o640),
                    raw=lambda pointer: libc.call("chmod", pointer, 0o640), touches=True))
path_rules(PathCall("chmod", lambda path: os.chmod(path, 0o750), target="directory",
                    argument="-directory", touches=True))


@case("chmod/sets-permissions/{kind}", kind=PLAIN_KINDS)
def sets_permissions(kind):
    make(kind, "file")
    for wanted in (0o000, 0o001, 0o020, 0o400, 0o111, 0o222, 0o444, 0o751, 0o777):
        os.chmod("file", wanted)
        mode_is("file", wanted)
    check(is_kind("file", kind), "the kind of the file changed")


@case("chmod/sets-{bit}/{kind}", bit=("setuid", "setgid", "sticky"), kind=PLAIN_KINDS)
def sets_bit(bit, kind):
    wanted = {"setuid": 0o4711, "setgid": 0o2711, "sticky": 0o1711}[bit]
    make(kind, "file")
    os.chmod("file", wanted)
    mode_is("file", wanted)
    os.chmod("file", 0o711)
    mode_is("file", 0o711)


@case("chmod/follows-link/{kind}", kind=PLAIN_KINDS)
def follows_link(kind):
    make(kind, "file")
    os.symlink("file", "link")
    before = mode("link")
    os.chmod("link", 0o651)
    mode_is("file", 0o651)
    equal(mode("link"), before, "mode of the link")


@case("chmod/updates-ctime/{kind}", kind=PLAIN_KINDS)
def updates_ctime(kind):
    make(kind, "file")
    with changes("file", "ctime"):
        os.chmod("file", 0o711)


@case("chmod/keeps-mtime-and-atime/{kind}", kind=PLAIN_KINDS)
def keeps_times(kind):
    make(kind, "file")
    with keeps("file", "mtime", "atime", "nlink", "size", "uid", "gid"):
        os.chmod("file", 0o4715)
    mode_is("file", 0o4715)


@case("chmod/EPERM-not-owner/{kind}", root=True, kind=PLAIN_KINDS)
def not_owner(kind):
    make(kind, "file", 0o666)
    ALICE.owns("file", 0o666)
    with keeps("file", "mode", "ctime"):
        BOB.fails(errno.EPERM, os.chmod, "file", 0o600)
        FRIEND.fails(errno.EPERM, os.chmod, "file", 0o600)


@case("chmod/owner-may/{kind}", root=True, kind=PLAIN_KINDS)
def owner_may(kind):
    make(kind, "file", 0)
    ALICE.owns("file", 0)
    ALICE.does(os.chmod, "file", 0o1604)
    mode_is("file", 0o1604)


@case("chmod/owner-outside-group-loses-setgid/{kind}", root=True, kind=PLAIN_KINDS)
def loses_setgid(kind):
    make(kind, "file", 0o600)
    os.chown("file", ALICE.uid, BOB.gid)
    ALICE.does(os.chmod, "file", 0o2755)
    mode_is("file", 0o755)


@case("chmod/owner-in-group-keeps-setgid/{kind}", root=True, kind=PLAIN_KINDS)
def keeps_setgid(kind):
    make(kind, "file")
    os.chown("file", FRIEND.uid, ALICE.gid)
    FRIEND.does(os.chmod, "file", 0o2755)
    mode_is("file", 0o2755)


@case("chmod/root-outside-group-keeps-setgid/{kind}", root=True, kind=PLAIN_KINDS)
def root_keeps_setgid(kind):
    make(kind, "file")
    os.chown("file", ALICE.uid, BOB.gid)
    os.chmod("file", 0o6755)
    mode_is("file", 0o6755)


@case("chmod/shown-by-every-hard-link/regular")
def hard_links():
    make("regular", "file")
    os.link("file", "second")
    os.chmod("second", 0o604)
    mode_is("file", 0o604)


@case("chmod/counts-for-next-open/regular", root=True)
def next_open():
    make("regular", "file", 0o666)
    ALICE.succeeds(os.open, "file", os.O_RDWR)
    os.chmod("file", 0o660)
    ALICE.fails(errno.EACCES, os.open, "file", os.O_RDONLY)
    os.chmod("file", 0o664)
    ALICE.succeeds(os.open, "file", os.O_RDONLY)
    ALICE.fails(errno.EACCES, os.open, "file", os.O_WRONLY)


@case("chmod/open-descriptor-keeps-rights/regular", root=True)
def open_descriptor():
    make("regular", "file")
    ALICE.owns("file", 0o600)

    def steps():
        with open("file", "r+b", buffering=0) as file:
            os.chmod("file", 0)
            equal(file.write(b"still"), 5)
            equal(os.pread(file.fileno(), 5, 0), b"still")
            fails(errno.EACCES, os.open, "file", os.O_RDONLY)
    ALICE.runs(steps)


@case("chmod/applies-to-search-at-once/directory", root=True)
def search_at_once():
    os.mkdir("dir", 0o755)
    make("regular", "dir/file")
    ALICE.succeeds(os.stat, "dir/file")
    os.chmod("dir", 0o700)
    ALICE.fails(errno.EACCES, os.stat, "dir/file")
    os.chmod("dir", 0o711)
    ALICE.succeeds(os.stat, "dir/file")


@case("chmod/ignores-file-type-bits/regular")
def ignores_type():
    make("regular", "file")
    os.chmod("file", stat.S_IFDIR | 0o640)
    mode_is("file", 0o640)
    check(is_kind("file", "regular"), "the kind of the file changed")


@case("chmod/fchmod-sets-mode/{kind}", kind=("regular", "directory", "fifo"))
def by_descriptor(kind):
    make(kind, "file")
    with opened("file", os.O_RDONLY | os.O_NONBLOCK) as descriptor:
        with changes("file", "ctime"):
            os.fchmod(descriptor, 0o4711)
    mode_is("file", 0o4711)


@case("chmod/fchmod-EPERM-not-owner/{kind}", root=True, kind=("regular", "directory", "fifo"))
def by_descriptor_not_owner(kind):
    make(kind, "file", 0o666)
    os.chmod("file", 0o777)

    def steps():
        with opened("file", os.O_RDONLY | os.O_NONBLOCK) as descriptor:
            fails(errno.EPERM, os.fchmod, descriptor, 0o600)
    BOB.runs(steps)


@case("chmod/fchmod-EBADF/regular")
def bad_descriptor():
    fails(errno.EBADF, libc.call, "fchmod", -1, 0o600)
    make("regular", "file")
    with opened("file", os.O_PATH) as descriptor:
        fails(errno.EBADF, os.fchmod, descriptor, 0o600)


@case("chmod/fchmod-EROFS/regular", root=True)
def by_descriptor_read_only():
    os.mkdir("tree")
    make("regular", "tree/file")

    def steps():
        with opened("tree/file", os.O_RDONLY) as descriptor:
            fails(errno.EROFS, os.fchmod, descriptor, 0o600)
    ReadOnly("tree").runs(steps)


@case("chmod/fchmod-works-on-unlinked/regular")
def unlinked():
    make("regular", "file")
    with opened("file", os.O_RDWR) as descriptor:
        os.unlink("file")
        os.fchmod(descriptor, 0o604)
        equal(stat.S_IMODE(os.fstat(descriptor).st_mode), 0o604, "mode")
