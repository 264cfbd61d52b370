# SPDX-License-Identifier: BSD-3-Clause
"""access and faccessat: the mode bits, for each class of user."""

import errno
import os

from .framework import libc
from .framework.apart import ALICE, ANOTHER, BOB, FRIEND, ReadOnly
from .framework.at_rules import AtCall, at_rules
from .framework.checks import check, equal, fails
from .framework.files import PLAIN_KINDS, make
from .framework.paths import PathCall, path_rules
from .framework.registry import case

BITS = {"read": 4, "write": 2, "execute": 1}
WHO = {"owner": (ALICE, 6), "group": (FRIEND, 3), "other": (BOB, 0)}


def access(path, mode):
    libc.call("access", path, mode)


path_rules(PathCall("access", lambda path: access(path, os.R_OK), writes=False,
                    raw=lambda pointer: access(pointer, os.R_OK)))
path_rules(PathCall("access", lambda path: access(path, os.W_OK), argument="-to-write"))
at_rules(AtCall("access", lambda descriptor, path: libc.call("faccessat", descriptor, path,
                                                             os.R_OK, 0)))


@case("access/{bit}-of-{who}/{kind}", root=True, bit=tuple(BITS), who=tuple(WHO), kind=PLAIN_KINDS)
def bits(bit, who, kind):
    """Exactly the bit of the caller's class grants the right."""
    user, shift = WHO[who]
    make(kind, "file")
    ALICE.owns("file", BITS[bit] << shift)
    user.succeeds(access, "file", BITS[bit])
    os.chmod("file", 0o777 & ~(BITS[bit] << shift))
    user.fails(errno.EACCES, access, "file", BITS[bit])


@case("access/F_OK-needs-no-bit/{kind}", root=True, kind=PLAIN_KINDS)
def there(kind):
    make(kind, "file")
    os.chmod("file", 0)
    BOB.succeeds(access, "file", os.F_OK)


@case("access/root-may-read-and-write/{kind}", root=True, kind=PLAIN_KINDS)
def root_may(kind):
    make(kind, "file")
    os.chmod("file", 0)
    equal(libc.call("access", "file", os.R_OK | os.W_OK), 0, "result")


@case("access/root-executes-what-somebody-may/regular", root=True)
def root_executes():
    make("regular", "file")
    os.chmod("file", 0o666)
    fails(errno.EACCES, access, "file", os.X_OK)
    os.chmod("file", 0o001)
    try:
        access("file", os.X_OK)
    except PermissionError:
        check(os.statvfs("file").f_flag & os.ST_NOEXEC, "root may not execute")


@case("access/EROFS-write/{kind}", root=True, kind=("regular", "directory"))
def read_only(kind):
    os.mkdir("tree")
    make(kind, "tree/file")
    ReadOnly("tree").fails(errno.EROFS, access, "tree/file", os.W_OK)
    ReadOnly("tree").succeeds(access, "tree/file", os.R_OK)


@case("access/special-files-are-writable-read-only/{kind}", root=True, kind=("fifo", "socket"))
def special_read_only(kind):
    os.mkdir("tree")
    make(kind, "tree/file", 0o666)
    ReadOnly("tree").succeeds(access, "tree/file", os.W_OK)


@case("access/EINVAL/regular")
def invalid():
    make("regular", "file")
    fails(errno.EINVAL, access, "file", 0o10)


@case("access/real-or-effective-user/regular", root=True)
def real_user():
    """access asks for the real user, AT_EACCESS for the effective one."""
    make("regular", "file")
    ALICE.owns("file", 0o600)

    def steps():
        os.setgroups([])
        os.setresuid(BOB.uid, ALICE.uid, BOB.uid)
        fails(errno.EACCES, access, "file", os.R_OK)
        check(os.access("file", os.R_OK, effective_ids=True), "the effective user may not")
    ANOTHER.runs(steps)
