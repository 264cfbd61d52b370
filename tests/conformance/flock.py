# SPDX-License-Identifier: BSD-3-Clause
"""flock: locks of an open file, by whoever holds its descriptors."""

import errno
import fcntl
import os
import time

from .framework import libc
from .framework.at_rules import opened
from .framework.checks import check, equal, fails, keeps
from .framework.files import make
from .framework.processes import Companion
from .framework.registry import case

SHARED, EXCLUSIVE = fcntl.LOCK_SH | fcntl.LOCK_NB, fcntl.LOCK_EX | fcntl.LOCK_NB
BOTH = ("regular", "directory")


class Holder:
    """Steps of a companion: it opens the file once and keeps it."""

    def __init__(self):
        self.descriptor = None

    def lock(self, how):
        if self.descriptor is None:
            self.descriptor = os.open("file", os.O_RDONLY)
        fcntl.flock(self.descriptor, how)

    def close(self):
        os.close(self.descriptor)
        self.descriptor = None


def companion():
    holder = Holder()
    return Companion(lock=holder.lock, close=holder.close)


@case("flock/{mine}-against-{theirs}/{kind}", mine=("shared", "exclusive"),
      theirs=("shared", "exclusive"), kind=BOTH)
def against(mine, theirs, kind):
    make(kind, "file")
    locks = {"shared": SHARED, "exclusive": EXCLUSIVE}
    with opened("file", os.O_RDONLY) as descriptor, companion() as other:
        fcntl.flock(descriptor, locks[mine])
        if mine == theirs == "shared":
            other.does("lock", locks[theirs])
        else:
            other.fails(errno.EWOULDBLOCK, "lock", locks[theirs])
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            other.does("lock", locks[theirs])


@case("flock/second-open-of-the-same-process/{kind}", kind=BOTH)
def second_open(kind):
    make(kind, "file")
    with opened("file", os.O_RDONLY) as first, opened("file", os.O_RDONLY) as second:
        fcntl.flock(first, EXCLUSIVE)
        fails(errno.EWOULDBLOCK, fcntl.flock, second, SHARED)
        fcntl.flock(first, fcntl.LOCK_UN)
        fcntl.flock(second, EXCLUSIVE)


@case("flock/duplicate-holds-the-same-lock/regular")
def duplicate():
    make("regular", "file")
    with opened("file", os.O_RDONLY) as first, opened("file", os.O_RDONLY) as second:
        copy = os.dup(first)
        fcntl.flock(first, EXCLUSIVE)
        fcntl.flock(copy, EXCLUSIVE)
        os.close(copy)
        fails(errno.EWOULDBLOCK, fcntl.flock, second, SHARED)
        fcntl.flock(first, fcntl.LOCK_UN)
        fcntl.flock(second, SHARED)
        equal(fcntl.flock(first, SHARED), None)


@case("flock/unlock-by-duplicate/regular")
def unlock_by_duplicate():
    make("regular", "file")
    with opened("file", os.O_RDONLY) as first, companion() as other:
        fcntl.flock(first, EXCLUSIVE)
        fcntl.flock(os.dup(first), fcntl.LOCK_UN)
        other.does("lock", EXCLUSIVE)


@case("flock/inherited-by-fork/regular")
def inherited():
    make("regular", "file")
    descriptor = os.open("file", os.O_RDONLY)
    fcntl.flock(descriptor, EXCLUSIVE)
    with Companion(close=lambda: os.close(descriptor)) as child:
        os.close(descriptor)
        with opened("file", os.O_RDONLY) as second:
            fails(errno.EWOULDBLOCK, fcntl.flock, second, EXCLUSIVE)
            child.does("close")
            fcntl.flock(second, fcntl.LOCK_EX)


@case("flock/ends-with-{how}/regular", how=("close", "exit"))
def ends(how):
    make("regular", "file")
    with opened("file", os.O_RDONLY) as descriptor:
        with companion() as other:
            other.does("lock", EXCLUSIVE)
            fails(errno.EWOULDBLOCK, fcntl.flock, descriptor, EXCLUSIVE)
            if how == "close":
                other.does("close")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        fcntl.flock(descriptor, fcntl.LOCK_EX)


@case("flock/converts-{how}/regular", how=("up", "down"))
def converts(how):
    make("regular", "file")
    with opened("file", os.O_RDONLY) as descriptor, companion() as other:
        first, then = (SHARED, EXCLUSIVE) if how == "up" else (EXCLUSIVE, SHARED)
        fcntl.flock(descriptor, first)
        fcntl.flock(descriptor, then)
        if how == "up":
            other.fails(errno.EWOULDBLOCK, "lock", SHARED)
        else:
            other.does("lock", SHARED)


@case("flock/waits/regular")
def waits():
    make("regular", "file")
    with opened("file", os.O_RDONLY) as descriptor, companion() as other:
        fcntl.flock(descriptor, EXCLUSIVE)
        other.order("lock", fcntl.LOCK_EX)
        time.sleep(0.03)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        equal(other.answer()[0], "ok", "answer of the one who waited")
        fails(errno.EWOULDBLOCK, fcntl.flock, descriptor, SHARED)


@case("flock/needs-no-write-permission/regular")
def read_only():
    make("regular", "file")
    for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
        with opened("file", flags) as descriptor:
            fcntl.flock(descriptor, EXCLUSIVE)
            check(True, "locked")


@case("flock/apart-from-fcntl-locks/regular")
def apart():
    make("regular", "file")
    with opened("file", os.O_RDWR) as descriptor:
        fcntl.flock(descriptor, EXCLUSIVE)
        with Companion(lock=lambda: fcntl.lockf(descriptor, EXCLUSIVE)) as other:
            other.does("lock")


@case("flock/changes-nothing/{kind}", kind=BOTH)
def changes_nothing(kind):
    make(kind, "file")
    with opened("file", os.O_RDONLY) as descriptor, keeps("file", "ctime", "mtime", "atime"):
        fcntl.flock(descriptor, EXCLUSIVE)


@case("flock/outlives-{change}/regular", change=("rename", "unlink"))
def outlives(change):
    make("regular", "file")
    os.link("file", "second")
    with opened("file", os.O_RDONLY) as descriptor:
        fcntl.flock(descriptor, EXCLUSIVE)
        (os.rename("file", "moved") if change == "rename" else os.unlink("file"))
        with opened("second", os.O_RDONLY) as other:
            fails(errno.EWOULDBLOCK, fcntl.flock, other, SHARED)


@case("flock/EBADF/regular")
def bad_descriptor():
    fails(errno.EBADF, fcntl.flock, 1 << 20, SHARED)
    make("regular", "file")
    with opened("file", os.O_PATH) as descriptor:
        fails(errno.EBADF, fcntl.flock, descriptor, SHARED)


@case("flock/EINVAL/regular")
def invalid():
    make("regular", "file")
    with opened("file", os.O_RDONLY) as descriptor:
        fails(errno.EINVAL, libc.call, "flock", descriptor, 0)
        fails(errno.EINVAL, libc.call, "flock", descriptor, fcntl.LOCK_SH | fcntl.LOCK_EX)
