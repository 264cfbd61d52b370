# SPDX-License-Identifier: BSD-3-Clause
"""chown, lchown, fchown and fchownat."""

import errno
import os

from .framework import libc
from .framework.apart import ALICE, BOB, EXTRA_GROUP, MEMBER, ReadOnly
from .framework.at_rules import AtCall, at_rules, opened
from .framework.checks import changes, equal, fails, keeps, mode_is
from .framework.files import ALL_KINDS, PLAIN_KINDS, make
from .framework.paths import PathCall, path_rules
from .framework.registry import case

FILES = ("regular", "fifo", "socket", "char", "block")
BIG_IDS = (65534, 65536, 1 << 31, (1 << 32) - 2)


def ids(path):
    status = os.lstat(path)
    return status.st_uid, status.st_gid


def fchownat(descriptor, path, user, group, flags=0):
    libc.call("fchownat", descriptor, path, user, group, flags)


def take(path, chown=os.chown):
    """What the owner may: to say again that it is theirs."""
    chown(path, os.geteuid(), os.getegid())


path_rules(PathCall("chown", take, touches=True,
                    raw=lambda pointer: libc.call("chown", pointer, -1, -1)))
path_rules(PathCall("chown", lambda path: take(path, os.lchown), target="symlink", touches=True,
                    raw=lambda pointer: libc.call("lchown", pointer, -1, -1), follows=False,
                    argument="-lchown"))
at_rules(AtCall("chown", lambda descriptor, path: fchownat(
    descriptor, path, os.geteuid(), os.getegid()), touches=True))


@case("chown/sets-both/{kind}", root=True, kind=ALL_KINDS)
def sets_both(kind):
    make(kind, "file")
    os.lchown("file", ALICE.uid, BOB.gid)
    equal(ids("file"), (ALICE.uid, BOB.gid), "owner and group")


@case("chown/sets-only-{which}/{kind}", root=True, which=("owner", "group"), kind=ALL_KINDS)
def sets_one(which, kind):
    make(kind, "file")
    os.lchown("file", ALICE.uid, ALICE.gid)
    if which == "owner":
        os.lchown("file", BOB.uid, -1)
        equal(ids("file"), (BOB.uid, ALICE.gid), "owner and group")
    else:
        os.lchown("file", -1, BOB.gid)
        equal(ids("file"), (ALICE.uid, BOB.gid), "owner and group")


@case("chown/updates-ctime/{kind}", root=True, kind=ALL_KINDS)
def updates_ctime(kind):
    make(kind, "file")
    with changes("file", "ctime"), keeps("file", "mtime", "atime", "size", "nlink"):
        os.lchown("file", ALICE.uid, ALICE.gid)


@case("chown/follows-link/{kind}", root=True, kind=PLAIN_KINDS)
def follows_link(kind):
    make(kind, "file")
    os.symlink("file", "link")
    before = ids("link")
    os.chown("link", ALICE.uid, ALICE.gid)
    equal(ids("file"), (ALICE.uid, ALICE.gid), "owner and group")
    equal(ids("link"), before, "owner and group of the link")


@case("chown/lchown-changes-the-link/symlink", root=True)
def changes_link():
    make("regular", "file")
    os.symlink("file", "link")
    before = ids("file")
    os.lchown("link", ALICE.uid, ALICE.gid)
    equal(ids("link"), (ALICE.uid, ALICE.gid), "owner and group of the link")
    equal(ids("file"), before, "owner and group")


@case("chown/EPERM-give-away/{kind}", root=True, kind=ALL_KINDS)
def give_away(kind):
    make(kind, "file")
    os.lchown("file", ALICE.uid, ALICE.gid)
    with keeps("file", "uid", "gid", "ctime"):
        ALICE.fails(errno.EPERM, os.lchown, "file", BOB.uid, -1)
        ALICE.fails(errno.EPERM, os.lchown, "file", BOB.uid, ALICE.gid)


@case("chown/EPERM-foreign-group/{kind}", root=True, kind=ALL_KINDS)
def foreign_group(kind):
    make(kind, "file")
    os.lchown("file", ALICE.uid, ALICE.gid)
    with keeps("file", "uid", "gid", "ctime"):
        ALICE.fails(errno.EPERM, os.lchown, "file", -1, EXTRA_GROUP)


@case("chown/EPERM-not-owner/{kind}", root=True, kind=ALL_KINDS)
def not_owner(kind):
    make(kind, "file", 0o666)
    os.lchown("file", ALICE.uid, ALICE.gid)
    with keeps("file", "uid", "gid", "ctime"):
        BOB.fails(errno.EPERM, os.lchown, "file", BOB.uid, BOB.gid)
        BOB.fails(errno.EPERM, os.lchown, "file", -1, BOB.gid)


@case("chown/owner-may-choose-own-group/{kind}", root=True, kind=ALL_KINDS)
def own_group(kind):
    make(kind, "file")
    os.lchown("file", MEMBER.uid, BOB.gid)
    MEMBER.does(os.lchown, "file", MEMBER.uid, EXTRA_GROUP)
    equal(ids("file"), (MEMBER.uid, EXTRA_GROUP), "owner and group")
    MEMBER.does(os.lchown, "file", -1, MEMBER.gid)
    equal(ids("file"), (MEMBER.uid, MEMBER.gid), "owner and group")


@case("chown/owner-clears-setid/{kind}", root=True, kind=FILES)
def owner_clears(kind):
    make(kind, "file")
    ALICE.owns("file", 0o6755)
    MEMBER.does(os.chown, "file", -1, EXTRA_GROUP)
    mode_is("file", 0o755)


@case("chown/root-clears-setid/{kind}", root=True, kind=FILES)
def root_clears(kind):
    make(kind, "file")
    os.chmod("file", 0o6755)
    os.chown("file", ALICE.uid, ALICE.gid)
    mode_is("file", 0o755)


@case("chown/neither-id-clears-setid/{kind}", root=True, kind=FILES)
def neither_id(kind):
    """Also a call that asks for no change of owner or group."""
    make(kind, "file")
    for chown in (os.chown, lambda *arguments: ALICE.does(os.chown, *arguments)):
        ALICE.owns("file", 0o6755)
        chown("file", -1, -1)
        equal(ids("file"), (ALICE.uid, ALICE.gid), "owner and group")
        mode_is("file", 0o755)


@case("chown/keeps-setgid-without-group-execute/regular", root=True)
def mandatory_lock_bit():
    make("regular", "file")
    os.chmod("file", 0o2745)
    os.chown("file", ALICE.uid, ALICE.gid)
    equal(ids("file"), (ALICE.uid, ALICE.gid), "owner and group")
    mode_is("file", 0o2745)


@case("chown/keeps-setid/directory", root=True)
def directory_keeps():
    os.mkdir("dir")
    os.chmod("dir", 0o7755)
    os.chown("dir", ALICE.uid, ALICE.gid)
    mode_is("dir", 0o7755)
    MEMBER.does(os.chown, "dir", -1, EXTRA_GROUP)
    equal(ids("dir"), (ALICE.uid, EXTRA_GROUP), "owner and group")
    mode_is("dir", 0o7755)


@case("chown/keeps-other-bits/{kind}", root=True, kind=PLAIN_KINDS)
def keeps_bits(kind):
    make(kind, "file")
    os.chmod("file", 0o1641)
    os.chown("file", ALICE.uid, ALICE.gid)
    equal(ids("file"), (ALICE.uid, ALICE.gid), "owner and group")
    mode_is("file", 0o1641)


@case("chown/big-ids/{kind}", root=True, kind=("regular", "directory", "symlink"))
def big_ids(kind):
    make(kind, "file")
    for number in BIG_IDS:
        os.lchown("file", number, number)
        equal(ids("file"), (number, number), "owner and group")


@case("chown/rights-follow-the-owner/regular", root=True)
def rights_follow():
    make("regular", "file", 0o600)
    os.chmod("file", 0o600)
    ALICE.fails(errno.EACCES, os.open, "file", os.O_RDWR)
    os.chown("file", ALICE.uid, ALICE.gid)
    ALICE.succeeds(os.open, "file", os.O_RDWR)
    os.chown("file", BOB.uid, BOB.gid)
    ALICE.fails(errno.EACCES, os.open, "file", os.O_RDWR)


@case("chown/shown-by-every-hard-link/{kind}", root=True, kind=("regular", "fifo", "symlink"))
def hard_links(kind):
    make(kind, "file")
    os.link("file", "second", follow_symlinks=False)
    os.lchown("second", ALICE.uid, ALICE.gid)
    equal(ids("file"), (ALICE.uid, ALICE.gid), "owner and group")


@case("chown/fchown-sets-both/{kind}", root=True, kind=("regular", "directory", "fifo"))
def by_descriptor(kind):
    make(kind, "file")
    with opened("file", os.O_RDONLY | os.O_NONBLOCK) as descriptor, changes("file", "ctime"):
        os.fchown(descriptor, ALICE.uid, BOB.gid)
    equal(ids("file"), (ALICE.uid, BOB.gid), "owner and group")


@case("chown/fchown-EBADF/regular")
def bad_descriptor():
    fails(errno.EBADF, os.fchown, 1 << 20, -1, -1)
    make("regular", "file")
    with opened("file", os.O_PATH) as descriptor:
        fails(errno.EBADF, os.fchown, descriptor, -1, -1)


@case("chown/fchown-EROFS/regular", root=True)
def by_descriptor_read_only():
    os.mkdir("tree")
    make("regular", "tree/file")

    def steps():
        with opened("tree/file", os.O_RDONLY) as descriptor:
            fails(errno.EROFS, os.fchown, descriptor, ALICE.uid, -1)
    ReadOnly("tree").runs(steps)


@case("chown/fchown-works-on-unlinked/regular", root=True)
def unlinked():
    make("regular", "file")
    with opened("file", os.O_RDWR) as descriptor:
        os.unlink("file")
        os.fchown(descriptor, ALICE.uid, BOB.gid)
        status = os.fstat(descriptor)
    equal((status.st_uid, status.st_gid), (ALICE.uid, BOB.gid), "owner and group")


@case("chown/fchownat-AT_SYMLINK_NOFOLLOW/symlink", root=True)
def at_no_follow():
    make("regular", "file")
    os.symlink("file", "link")
    fchownat(libc.AT_FDCWD, "link", ALICE.uid, ALICE.gid, libc.AT_SYMLINK_NOFOLLOW)
    equal(ids("link"), (ALICE.uid, ALICE.gid), "owner and group of the link")
    equal(ids("file"), (os.geteuid(), os.getegid()), "owner and group")


@case("chown/fchownat-AT_EMPTY_PATH/{kind}", root=True, kind=ALL_KINDS)
def at_empty_path(kind):
    make(kind, "file")
    with opened("file", os.O_PATH | os.O_NOFOLLOW) as descriptor:
        fchownat(descriptor, "", ALICE.uid, ALICE.gid, libc.AT_EMPTY_PATH)
    equal(ids("file"), (ALICE.uid, ALICE.gid), "owner and group")


@case("chown/fchownat-EINVAL-flag/regular")
def bad_flag():
    make("regular", "file")
    fails(errno.EINVAL, fchownat, libc.AT_FDCWD, "file", -1, -1, 0x1)
