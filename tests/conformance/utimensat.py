# SPDX-License-Identifier: BSD-3-Clause
"""utimensat and futimens: nanoseconds, all dates, who may set what."""

import errno
import os

from .framework import libc
from .framework.apart import ALICE, BOB, FRIEND
from .framework.at_rules import AtCall, at_rules, opened
from .framework.checks import Skip, changes, check, close_to_now, equal, fails, keeps
from .framework.files import ALL_KINDS, PLAIN_KINDS, make
from .framework.libc import UTIME_NOW, UTIME_OMIT, utimensat
from .framework.paths import PathCall, path_rules
from .framework.registry import case

HERE = libc.AT_FDCWD
NO_FOLLOW = libc.AT_SYMLINK_NOFOLLOW
SECOND = 10**9
SOME = ((1_000_000_001, 123_456_789), (1_111_111_111, 987_654_321))
NOW, OMIT = (0, UTIME_NOW), (0, UTIME_OMIT)
DATES = {
    "epoch": 0, "one-second": 1, "year-1969": -1, "year-1960": -315_619_200,
    "year-1902": -(1 << 31) + 1, "last-of-31-bits": (1 << 31) - 1, "first-beyond-31-bits": 1 << 31,
    "year-2050": 2_524_608_000, "last-of-32-bits": (1 << 32) - 1, "first-beyond-32-bits": 1 << 32,
    "year-2200": 7_258_118_400, "year-2400": 13_569_465_600,
}

path_rules(PathCall("utimensat", lambda path: utimensat(HERE, path, SOME), touches=True,
                    raw=lambda pointer: utimensat(HERE, pointer, SOME, NO_FOLLOW)
                    if pointer else fault()))
path_rules(PathCall("utimensat", lambda path: utimensat(HERE, path, SOME, NO_FOLLOW),
                    target="symlink", follows=False, argument="-no-follow", touches=True))
at_rules(AtCall("utimensat", lambda descriptor, path: utimensat(descriptor, path, SOME),
                touches=True))


def fault():
    """glibc refuses a null path itself, as EINVAL; the kernel takes it for the descriptor."""
    raise OSError(errno.EFAULT, "null path")


def stamps(path):
    status = os.lstat(path)
    return status.st_atime_ns, status.st_mtime_ns


def nanoseconds(pair):
    return tuple(seconds * SECOND + rest for seconds, rest in pair)


@case("utimensat/sets-both-to-the-nanosecond/{kind}", kind=ALL_KINDS)
def sets_both(kind):
    make(kind, "file")
    utimensat(HERE, "file", SOME, NO_FOLLOW)
    equal(stamps("file"), nanoseconds(SOME), "atime and mtime")


@case("utimensat/updates-ctime/{kind}", kind=ALL_KINDS)
def updates_ctime(kind):
    make(kind, "file")
    with changes("file", "ctime"), keeps("file", "mode", "uid", "gid", "size", "nlink"):
        utimensat(HERE, "file", SOME, NO_FOLLOW)
    close_to_now(os.lstat("file").st_ctime_ns, "ctime")


@case("utimensat/null-means-now/{kind}", kind=ALL_KINDS)
def null(kind):
    make(kind, "file")
    utimensat(HERE, "file", SOME, NO_FOLLOW)
    equal(stamps("file"), nanoseconds(SOME), "atime and mtime before")
    utimensat(HERE, "file", None, NO_FOLLOW)
    for stamp in stamps("file"):
        close_to_now(stamp, "time")


@case("utimensat/UTIME_NOW-{which}/{kind}", which=("atime", "mtime"),
      kind=("regular", "directory", "symlink", "fifo"))
def now(which, kind):
    make(kind, "file")
    utimensat(HERE, "file", (NOW, SOME[1]) if which == "atime" else (SOME[0], NOW), NO_FOLLOW)
    atime, mtime = stamps("file")
    if which == "atime":
        close_to_now(atime, "atime")
        equal(mtime, nanoseconds(SOME)[1], "mtime")
    else:
        equal(atime, nanoseconds(SOME)[0], "atime")
        close_to_now(mtime, "mtime")


@case("utimensat/UTIME_OMIT-{which}/{kind}", which=("atime", "mtime"),
      kind=("regular", "directory", "symlink", "fifo"))
def omit(which, kind):
    make(kind, "file")
    utimensat(HERE, "file", SOME, NO_FOLLOW)
    other = (77, 7)
    utimensat(HERE, "file", (OMIT, other) if which == "atime" else (other, OMIT), NO_FOLLOW)
    kept, changed = stamps("file") if which == "atime" else reversed(stamps("file"))
    equal(kept, nanoseconds(SOME)[which == "mtime"], which)
    equal(changed, 77 * SECOND + 7, "the other time")


@case("utimensat/UTIME_OMIT-both-changes-nothing/{kind}", kind=ALL_KINDS)
def omit_both(kind):
    make(kind, "file")
    with keeps("file", "atime", "mtime", "ctime"):
        utimensat(HERE, "file", (OMIT, OMIT), NO_FOLLOW)


@case("utimensat/{date}/{kind}", date=tuple(DATES), kind=("regular", "directory", "symlink"))
def dates(date, kind):
    make(kind, "file")
    for rest in (0, 1, 999_999_999):
        wanted = DATES[date] * SECOND + rest
        utimensat(HERE, "file", ((DATES[date], rest), (DATES[date], rest)), NO_FOLLOW)
        found = stamps("file")
        if found != (wanted, wanted) and clamped(date, found[0]):
            raise Skip(f"times here end at {found[0] // SECOND} s")
        equal(found, (wanted, wanted), "atime and mtime")


def clamped(date, found):
    """Whether the filesystem put its own last date there: it answers the same for a later one."""
    utimensat(HERE, "file", ((DATES[date] * 2, 0), (DATES[date] * 2, 0)), NO_FOLLOW)
    again = os.lstat("file").st_mtime_ns
    same = found // SECOND == again // SECOND
    return same and (found > (1 << 31) - 2) * SECOND and DATES[date] > 1 << 31


@case("utimensat/beyond-all-dates-is-the-last-one/{kind}", kind=("regular", "directory"))
def clamps(kind):
    """A date that cannot be kept becomes the nearest that can, never one before its turn."""
    make(kind, "file")
    last = (1 << 31) - 1
    for seconds in (1 << 31, 1 << 33, 9 * 10**9, 9_300_000_000, 1 << 34, 1 << 35, 1 << 36):
        utimensat(HERE, "file", ((seconds, 0), (seconds, 0)))
        mtime = int(os.lstat("file").st_mtime_ns // SECOND)
        check(mtime == seconds or last <= mtime < seconds, f"{seconds} s came back as {mtime} s")
        last = mtime


@case("utimensat/follows-link/{kind}", kind=PLAIN_KINDS)
def follows(kind):
    make(kind, "file")
    os.symlink("file", "link")
    with keeps("link", "mtime", "ctime"):
        utimensat(HERE, "link", SOME)
    equal(stamps("file"), nanoseconds(SOME), "atime and mtime")


@case("utimensat/no-follow-spares-the-target/symlink")
def no_follow():
    make("regular", "file")
    os.symlink("file", "link")
    with keeps("file", "mtime", "ctime"):
        utimensat(HERE, "link", SOME, NO_FOLLOW)
    equal(os.lstat("link").st_mtime_ns, nanoseconds(SOME)[1], "mtime of the link")


@case("utimensat/EPERM-set-not-owner/{kind}", root=True, kind=PLAIN_KINDS)
def set_not_owner(kind):
    """Who may write may say 'now', but only the owner may say when."""
    make(kind, "file")
    ALICE.owns("file", 0o666 if kind != "directory" else 0o777)
    with keeps("file", "atime", "mtime", "ctime"):
        BOB.fails(errno.EPERM, utimensat, HERE, "file", SOME)
        BOB.fails(errno.EPERM, utimensat, HERE, "file", (NOW, OMIT))
        BOB.fails(errno.EPERM, utimensat, HERE, "file", (OMIT, NOW))
        BOB.fails(errno.EPERM, utimensat, HERE, "file", (NOW, SOME[1]))


@case("utimensat/who-may-write-may-say-now/{kind}", root=True, kind=PLAIN_KINDS)
def writer_now(kind):
    make(kind, "file")
    utimensat(HERE, "file", SOME)
    ALICE.owns("file", 0o660 if kind != "directory" else 0o770)
    equal(stamps("file"), nanoseconds(SOME), "atime and mtime before")
    FRIEND.does(utimensat, HERE, "file", None)
    close_to_now(os.lstat("file").st_mtime_ns, "mtime")
    utimensat(HERE, "file", SOME)
    FRIEND.does(utimensat, HERE, "file", (NOW, NOW))
    close_to_now(os.lstat("file").st_mtime_ns, "mtime")


@case("utimensat/EACCES-now-without-write/{kind}", root=True, kind=PLAIN_KINDS)
def now_without_write(kind):
    make(kind, "file")
    ALICE.owns("file", 0o755)
    with keeps("file", "atime", "mtime", "ctime"):
        BOB.fails(errno.EACCES, utimensat, HERE, "file", None)
        BOB.fails(errno.EACCES, utimensat, HERE, "file", (NOW, NOW))


@case("utimensat/owner-needs-no-write/{kind}", root=True, kind=PLAIN_KINDS)
def owner_without_write(kind):
    make(kind, "file")
    ALICE.owns("file", 0)
    ALICE.does(utimensat, HERE, "file", SOME)
    equal(stamps("file"), nanoseconds(SOME), "atime and mtime")
    ALICE.does(utimensat, HERE, "file", None)
    close_to_now(os.lstat("file").st_mtime_ns, "mtime")


@case("utimensat/EINVAL-{what}/regular", what=("nanoseconds", "negative", "flag"))
def invalid(what):
    make("regular", "file")
    with keeps("file", "atime", "mtime", "ctime"):
        if what == "flag":
            fails(errno.EINVAL, utimensat, HERE, "file", SOME, 0x1)
        else:
            bad = (0, SECOND if what == "nanoseconds" else -1)
            fails(errno.EINVAL, utimensat, HERE, "file", (bad, SOME[1]))
            fails(errno.EINVAL, utimensat, HERE, "file", (SOME[0], bad))


@case("utimensat/EFAULT-times/regular")
def bad_times():
    make("regular", "file")
    fails(errno.EFAULT, libc.call, "utimensat", HERE, "file", libc.BAD_POINTER, 0)


@case("utimensat/futimens/{kind}", kind=("regular", "directory", "fifo"))
def by_descriptor(kind):
    make(kind, "file")
    with opened("file", os.O_RDONLY | os.O_NONBLOCK) as descriptor, changes("file", "ctime"):
        os.utime(descriptor, ns=nanoseconds(SOME))
    equal(stamps("file"), nanoseconds(SOME), "atime and mtime")


@case("utimensat/futimens-works-on-unlinked/regular")
def unlinked():
    make("regular", "file")
    with opened("file", os.O_RDWR) as descriptor:
        os.unlink("file")
        os.utime(descriptor, ns=nanoseconds(SOME))
        equal(os.fstat(descriptor).st_mtime_ns, nanoseconds(SOME)[1], "mtime")


@case("utimensat/outlives-{change}/regular", change=("rename", "link", "chmod", "chown"))
def outlives(change):
    make("regular", "file")
    utimensat(HERE, "file", SOME)
    {"rename": lambda: (os.rename("file", "moved"), os.rename("moved", "file")),
     "link": lambda: os.link("file", "second"), "chmod": lambda: os.chmod("file", 0o600),
     "chown": lambda: os.chown("file", -1, -1)}[change]()
    equal(stamps("file"), nanoseconds(SOME), "atime and mtime")


@case("utimensat/then-write-moves-mtime/regular")
def then_write():
    make("regular", "file")
    utimensat(HERE, "file", SOME)
    with open("file", "r+b", buffering=0) as file:
        file.write(b"x")
    equal(os.stat("file").st_atime_ns, nanoseconds(SOME)[0], "atime")
    close_to_now(os.stat("file").st_mtime_ns, "mtime")


@case("utimensat/set-through-open-descriptor-stays/regular")
def stays_after_close():
    """What was written before must not move a time that was set after it."""
    with open("file", "wb", buffering=0) as file:
        file.write(b"x" * 10000)
        os.utime(file.fileno(), ns=nanoseconds(SOME))
    equal(os.stat("file").st_mtime_ns, nanoseconds(SOME)[1], "mtime")
