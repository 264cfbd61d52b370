# SPDX-License-Identifier: BSD-3-Clause
"""POSIX access control lists: system.posix_acl_access and system.posix_acl_default."""

import errno
import os
import struct

from .framework.apart import ALICE, BOB, FRIEND, MEMBER
from .framework.checks import Skip, changes, equal, fails, keeps, mode_is
from .framework.files import make, unsupported
from .framework.registry import case

ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32
NOBODY = 0xffffffff
MADE = ("regular", "directory", "fifo", "socket")


def acl(*entries):
    """entries: (tag, permissions) or (tag, permissions, id), in the order of the tags."""
    return struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", entry[0], entry[1], entry[2] if len(entry) > 2 else NOBODY)
        for entry in entries)


def put(path, value, name=ACCESS):
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        if unsupported(error):
            raise Skip("no access control lists") from None
        raise


def for_alice(bits, mask=7, owner=6, group=4, other=0):
    return acl((USER_OBJ, owner), (USER, bits, ALICE.uid), (GROUP_OBJ, group), (MASK, mask),
               (OTHER, other))


def has_acl(path, name=ACCESS):
    try:
        return os.getxattr(path, name)
    except OSError as error:
        if error.errno == errno.ENODATA:
            return None
        raise


@case("acl/kept-as-set/{kind}", kind=("regular", "directory", "fifo", "socket"))
def kept(kind):
    make(kind, "file")
    value = for_alice(6)
    put("file", value)
    equal(os.getxattr("file", ACCESS), value, "list")
    equal(ACCESS in os.listxattr("file"), True, "name is listed")


@case("acl/updates-ctime-and-mode/{kind}", kind=("regular", "directory"))
def updates(kind):
    make(kind, "file")
    put("file", for_alice(6))
    with changes("file", "ctime"), keeps("file", "mtime"):
        put("file", acl((USER_OBJ, 7), (USER, 6, ALICE.uid), (GROUP_OBJ, 0), (MASK, 5), (OTHER, 1)))
    mode_is("file", 0o751)


@case("acl/minimal-list-is-the-mode/{kind}", kind=("regular", "directory"))
def minimal(kind):
    make(kind, "file")
    put("file", acl((USER_OBJ, 6), (GROUP_OBJ, 4), (OTHER, 1)))
    mode_is("file", 0o641)
    equal(has_acl("file"), None, "list")


@case("acl/grants-{what}-to-named-user/regular", root=True, what=("read", "write"))
def named_user(what):
    make("regular", "file", 0o600)
    flags, bits = (os.O_RDONLY, 4) if what == "read" else (os.O_WRONLY, 2)
    put("file", for_alice(bits, group=0))
    ALICE.succeeds(os.open, "file", flags)
    ALICE.fails(errno.EACCES, os.open, "file", os.O_RDWR)
    BOB.fails(errno.EACCES, os.open, "file", flags)


@case("acl/named-user-is-refused-what-others-may/regular", root=True)
def refused_user():
    make("regular", "file", 0o666)
    put("file", for_alice(0, group=6, other=6))
    ALICE.fails(errno.EACCES, os.open, "file", os.O_RDONLY)
    BOB.succeeds(os.open, "file", os.O_RDWR)


@case("acl/grants-to-named-group/regular", root=True)
def named_group():
    make("regular", "file", 0o600)
    put("file", acl((USER_OBJ, 6), (GROUP_OBJ, 0), (GROUP, 4, ALICE.gid), (MASK, 7), (OTHER, 0)))
    for member in (ALICE, FRIEND):
        member.succeeds(os.open, "file", os.O_RDONLY)
        member.fails(errno.EACCES, os.open, "file", os.O_WRONLY)
    BOB.fails(errno.EACCES, os.open, "file", os.O_RDONLY)


@case("acl/mask-limits/regular", root=True)
def mask():
    make("regular", "file", 0o600)
    put("file", for_alice(6, mask=4))
    ALICE.succeeds(os.open, "file", os.O_RDONLY)
    ALICE.fails(errno.EACCES, os.open, "file", os.O_WRONLY)


@case("acl/chmod-changes-the-mask/regular", root=True)
def chmod_mask():
    make("regular", "file", 0o600)
    put("file", for_alice(6))
    os.chmod("file", 0o640)
    equal(os.getxattr("file", ACCESS), for_alice(6, mask=4), "list")
    ALICE.fails(errno.EACCES, os.open, "file", os.O_WRONLY)
    os.chmod("file", 0o660)
    ALICE.succeeds(os.open, "file", os.O_WRONLY)


@case("acl/owner-is-not-limited-by-the-mask/regular", root=True)
def owner_unmasked():
    make("regular", "file", 0o600)
    os.chown("file", BOB.uid, BOB.gid)
    put("file", for_alice(6, mask=0))
    BOB.succeeds(os.open, "file", os.O_RDWR)


@case("acl/grants-search/directory", root=True)
def search():
    os.mkdir("dir", 0o700)
    make("regular", "dir/file")
    put("dir", for_alice(1, owner=7, group=0))
    ALICE.succeeds(os.stat, "dir/file")
    ALICE.fails(errno.EACCES, os.listdir, "dir")
    BOB.fails(errno.EACCES, os.stat, "dir/file")


@case("acl/grants-making-names/directory", root=True)
def make_names():
    os.mkdir("dir", 0o700)
    put("dir", for_alice(3, owner=7, group=0))
    ALICE.succeeds(os.mkdir, "dir/new")
    BOB.fails(errno.EACCES, os.mkdir, "dir/other")


@case("acl/removed-leaves-the-mode/regular", root=True)
def removed():
    make("regular", "file", 0o600)
    put("file", for_alice(6))
    os.removexattr("file", ACCESS)
    equal(has_acl("file"), None, "list")
    ALICE.fails(errno.EACCES, os.open, "file", os.O_WRONLY)


@case("acl/EPERM-not-owner/{kind}", root=True, kind=("regular", "directory"))
def not_owner(kind):
    make(kind, "file", 0o666)
    put("file", for_alice(7, other=7))
    ALICE.fails(errno.EPERM, os.setxattr, "file", ACCESS, for_alice(7, other=0))
    os.chown("file", ALICE.uid, ALICE.gid)
    ALICE.succeeds(os.setxattr, "file", ACCESS, for_alice(7, other=0))


@case("acl/EINVAL-{what}/regular",
      what=("short", "version", "no-mask", "order", "bits", "unknown-tag", "no-owner"))
def invalid(what):
    make("regular", "file")
    put("file", for_alice(6))
    bad = {"short": for_alice(6)[:-3], "version": b"\1" + for_alice(6)[1:],
           "no-mask": acl((USER_OBJ, 6), (USER, 6, 1), (GROUP_OBJ, 4), (OTHER, 0)),
           "order": acl((GROUP_OBJ, 4), (USER_OBJ, 6), (OTHER, 0)),
           "bits": acl((USER_OBJ, 15), (GROUP_OBJ, 4), (OTHER, 0)),
           "unknown-tag": acl((USER_OBJ, 6), (GROUP_OBJ, 4), (64, 0)),
           "no-owner": acl((GROUP_OBJ, 4), (OTHER, 0))}[what]
    expected = (errno.EINVAL, errno.EOPNOTSUPP) if what == "version" else errno.EINVAL
    fails(expected, os.setxattr, "file", ACCESS, bad)
    equal(os.getxattr("file", ACCESS), for_alice(6), "list")


@case("acl/default-EACCES-on-files/{kind}", kind=("regular", "fifo"))
def default_on_file(kind):
    make(kind, "file")
    put("file", for_alice(6))
    fails((errno.EACCES, errno.EPERM, errno.EINVAL), os.setxattr, "file", DEFAULT, for_alice(6))


def default_folder(value=None):
    os.mkdir("dir", 0o777)
    put("dir", value or for_alice(7, owner=7, group=5, other=5), DEFAULT)


def create(kind, path, mode):
    """As make(), but a directory gets the mode as it is."""
    if kind == "directory":
        os.mkdir(path, mode)
    else:
        make(kind, path, mode)


@case("acl/default-keeps-mode-of-the-directory/directory")
def default_alone():
    os.mkdir("dir", 0o711)
    put("dir", for_alice(7), DEFAULT)
    mode_is("dir", 0o711)
    equal(has_acl("dir"), None, "access list")
    equal(has_acl("dir", DEFAULT), for_alice(7), "default list")


@case("acl/default-inherited/{kind}", kind=MADE)
def inherited(kind):
    """The mode given is a mask on what is inherited."""
    default_folder()
    create(kind, "dir/file", 0o640)
    equal(has_acl("dir/file"), for_alice(7, mask=4, owner=6, group=5, other=0), "access list")
    mode_is("dir/file", 0o640)


@case("acl/default-takes-the-place-of-umask/{kind}", kind=MADE)
def no_umask(kind):
    default_folder()
    os.umask(0o077)
    create(kind, "dir/file", 0o666)
    mode_is("dir/file", 0o664)


@case("acl/umask-counts-without-default/{kind}", kind=MADE)
def umask(kind):
    os.mkdir("dir", 0o777)
    put("dir", for_alice(7, owner=7, group=7, other=7))
    os.umask(0o027)
    create(kind, "dir/file", 0o666)
    mode_is("dir/file", 0o640)


@case("acl/minimal-default-is-a-mode/{kind}", kind=MADE)
def minimal_default(kind):
    default_folder(acl((USER_OBJ, 7), (GROUP_OBJ, 5), (OTHER, 1)))
    os.umask(0o077)
    create(kind, "dir/file", 0o666)
    mode_is("dir/file", 0o640)


@case("acl/default-goes-on-to-directories/directory")
def recursive():
    default_folder()
    os.makedirs("dir/a/b")
    expected = for_alice(7, owner=7, group=5, other=5)
    equal(has_acl("dir/a/b", DEFAULT), expected, "default list")
    make("regular", "dir/a/b/file", 0o666)
    equal(has_acl("dir/a/b/file"), for_alice(7, mask=6, owner=6, group=5, other=4), "access list")


@case("acl/default-does-not-reach-links/symlink")
def symlink():
    default_folder()
    os.symlink("target", "dir/link")
    equal(os.lstat("dir/link").st_mode & 0o777, 0o777, "mode")


@case("acl/default-grants-to-named-user/regular", root=True)
def default_grants():
    os.mkdir("dir", 0o755)
    put("dir", for_alice(6, owner=6, group=0, other=0), DEFAULT)
    make("regular", "dir/file", 0o660)
    ALICE.succeeds(os.open, "dir/file", os.O_RDWR)
    BOB.fails(errno.EACCES, os.open, "dir/file", os.O_RDONLY)


@case("acl/setgid-lost-outside-group/regular", root=True)
def loses_setgid():
    make("regular", "file")
    os.chown("file", ALICE.uid, BOB.gid)
    os.chmod("file", 0o2755)
    put("file", for_alice(7))
    os.chmod("file", 0o2775)
    ALICE.does(os.setxattr, "file", ACCESS, for_alice(7, owner=7, group=5, other=5))
    mode_is("file", 0o775)


@case("acl/one-list-by-every-name/regular")
def hard_links():
    make("regular", "file")
    put("file", for_alice(6))
    os.link("file", "second")
    os.rename("file", "moved")
    equal(has_acl("moved"), has_acl("second"), "list")
    equal(has_acl("second"), for_alice(6), "list")


@case("acl/many-entries/regular", root=True)
def many():
    make("regular", "file", 0o600)
    users = [(USER, 4, number) for number in range(70000, 70020)] + [(USER, 4, MEMBER.uid + 10**5)]
    value = acl((USER_OBJ, 6), *users, (GROUP_OBJ, 0), (MASK, 4), (OTHER, 0))
    put("file", value)
    equal(has_acl("file"), value, "list")
