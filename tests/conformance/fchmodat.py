# SPDX-License-Identifier: BSD-3-Clause
"""fchmodat."""

import errno
import os

from .framework import libc
from .framework.apart import ALICE, BOB
from .framework.at_rules import AtCall, at_rules
from .framework.checks import Skip, changes, equal, fails, keeps, mode, mode_is
from .framework.files import PLAIN_KINDS, make
from .framework.paths import PathCall, path_rules
from .framework.registry import case


def fchmodat(path, bits, flags=0, descriptor=libc.AT_FDCWD):
    libc.call("fchmodat", descriptor, path, bits, flags)


path_rules(PathCall("fchmodat", lambda path: fchmodat(path, 0o640),
                    raw=lambda pointer: fchmodat(pointer, 0o640), touches=True))
at_rules(AtCall("fchmodat", lambda descriptor, path: fchmodat(path, 0o640, 0, descriptor),
                touches=True))


@case("fchmodat/sets-mode/{kind}", kind=PLAIN_KINDS)
def sets_mode(kind):
    make(kind, "file")
    for wanted in (0o000, 0o751, 0o4711, 0o2711, 0o1777):
        fchmodat("file", wanted)
        mode_is("file", wanted)


@case("fchmodat/updates-ctime/{kind}", kind=PLAIN_KINDS)
def updates_ctime(kind):
    make(kind, "file")
    with changes("file", "ctime"), keeps("file", "mtime", "atime"):
        fchmodat("file", 0o711)


@case("fchmodat/EPERM-not-owner/{kind}", root=True, kind=PLAIN_KINDS)
def not_owner(kind):
    make(kind, "file")
    ALICE.owns("file", 0o666)
    with keeps("file", "mode", "ctime"):
        BOB.fails(errno.EPERM, fchmodat, "file", 0o600)
    ALICE.succeeds(fchmodat, "file", 0o600)


@case("fchmodat/AT_SYMLINK_NOFOLLOW-on-others/{kind}", kind=PLAIN_KINDS)
def no_follow(kind):
    make(kind, "file")
    try:
        fchmodat("file", 0o604, libc.AT_SYMLINK_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            raise Skip("the C library knows no AT_SYMLINK_NOFOLLOW") from None
        raise
    mode_is("file", 0o604)


@case("fchmodat/AT_SYMLINK_NOFOLLOW-spares-the-target/symlink")
def no_follow_link():
    """Whether links have modes that can be changed is up to the system; the target is not meant."""
    make("regular", "file")
    os.symlink("file", "link")
    before = mode("file")
    try:
        fchmodat("link", 0o604, libc.AT_SYMLINK_NOFOLLOW)
    except OSError as error:
        equal(error.errno, errno.EOPNOTSUPP, "errno")
    equal(mode("file"), before, "mode of the target")


@case("fchmodat/EINVAL-flag/regular")
def bad_flag():
    make("regular", "file")
    fails(errno.EINVAL, fchmodat, "file", 0o600, 0x1)
