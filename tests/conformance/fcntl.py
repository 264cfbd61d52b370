# SPDX-License-Identifier: BSD-3-Clause
"""fcntl locks: F_SETLK, F_SETLKW, F_GETLK of a process, and F_OFD_SETLK of an open file."""

import errno
import fcntl
import os
import struct
import time

from .framework.at_rules import opened
from .framework.checks import check, equal, fails
from .framework.files import make, write
from .framework.processes import Companion
from .framework.registry import case

READ, WRITE, UNLOCK = fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK
FLOCK = "hhqqi4x"   # struct flock on 64 bits: type, whence, start, length, pid
MAX = (1 << 63) - 1
COMMANDS = {"process": (fcntl.F_SETLK, fcntl.F_GETLK), "open-file": (37, 36)}


def setlk(descriptor, kind, start=0, length=0, whence=os.SEEK_SET, command=fcntl.F_SETLK):
    fcntl.fcntl(descriptor, command, struct.pack(FLOCK, kind, whence, start, length, 0))


def getlk(descriptor, kind, start=0, length=0, command=fcntl.F_GETLK):
    answer = fcntl.fcntl(descriptor, command, struct.pack(FLOCK, kind, 0, start, length, 0))
    return struct.unpack(FLOCK, answer)


def companion(flags=os.O_RDWR):
    """It opens the file for itself."""
    held = []

    def lock(*arguments):
        if not held:
            held.append(os.open("file", flags))
        setlk(held[0], *arguments)
    return Companion(lock=lock, get=lambda *arguments: getlk(held[0], *arguments),
                     close=lambda: os.close(held.pop()))


@case("fcntl/{mine}-against-{theirs}-of-{owner}/regular", mine=("read", "write"),
      theirs=("read", "write"), owner=tuple(COMMANDS))
def against(mine, theirs, owner):
    write("file", b"x" * 100)
    kinds, command = {"read": READ, "write": WRITE}, COMMANDS[owner][0]
    with opened("file", os.O_RDWR) as descriptor, companion() as other:
        setlk(descriptor, kinds[mine], 10, 10, command=command)
        if mine == theirs == "read":
            other.does("lock", kinds[theirs], 10, 10)
        else:
            other.fails((errno.EAGAIN, errno.EACCES), "lock", kinds[theirs], 10, 10)
            setlk(descriptor, UNLOCK, 10, 10, command=command)
            other.does("lock", kinds[theirs], 10, 10)


@case("fcntl/only-overlapping-bytes/regular")
def ranges():
    write("file", b"x" * 100)
    with opened("file", os.O_RDWR) as descriptor, companion() as other:
        setlk(descriptor, WRITE, 10, 10)
        other.does("lock", WRITE, 0, 10)
        other.does("lock", WRITE, 20, 10)
        for start, length in ((9, 2), (19, 1), (0, 100), (15, 0)):
            other.fails((errno.EAGAIN, errno.EACCES), "lock", READ, start, length)


@case("fcntl/unlock-in-the-middle-splits/regular")
def splits():
    write("file", b"x" * 100)
    with opened("file", os.O_RDWR) as descriptor, companion() as other:
        setlk(descriptor, WRITE, 0, 30)
        setlk(descriptor, UNLOCK, 10, 10)
        other.does("lock", WRITE, 10, 10)
        other.fails((errno.EAGAIN, errno.EACCES), "lock", WRITE, 9, 1)
        other.fails((errno.EAGAIN, errno.EACCES), "lock", WRITE, 20, 1)


@case("fcntl/own-locks-merge-and-convert/regular")
def converts():
    write("file", b"x" * 100)
    with opened("file", os.O_RDWR) as descriptor, companion() as other:
        setlk(descriptor, WRITE, 0, 30)
        setlk(descriptor, READ, 10, 10)
        other.does("lock", READ, 10, 10)
        other.fails((errno.EAGAIN, errno.EACCES), "lock", READ, 9, 1)
        other.fails((errno.EAGAIN, errno.EACCES), "lock", WRITE, 12, 1)


@case("fcntl/whence-{whence}/regular", whence=("SEEK_CUR", "SEEK_END"))
def whence_counts(whence):
    write("file", b"x" * 100)
    with opened("file", os.O_RDWR) as descriptor, companion() as other:
        os.lseek(descriptor, 40, os.SEEK_SET)
        setlk(descriptor, WRITE, -10, 5, getattr(os, whence))
        start = 30 if whence == "SEEK_CUR" else 90
        other.does("lock", READ, start - 1, 1)
        other.fails((errno.EAGAIN, errno.EACCES), "lock", READ, start, 1)
        other.fails((errno.EAGAIN, errno.EACCES), "lock", READ, start + 4, 1)
        other.does("lock", READ, start + 5, 1)


@case("fcntl/negative-length/regular")
def negative_length():
    write("file", b"x" * 100)
    with opened("file", os.O_RDWR) as descriptor, companion() as other:
        setlk(descriptor, WRITE, 50, -10)
        other.does("lock", READ, 39, 1)
        other.fails((errno.EAGAIN, errno.EACCES), "lock", READ, 40, 1)
        other.fails((errno.EAGAIN, errno.EACCES), "lock", READ, 49, 1)
        other.does("lock", READ, 50, 1)


@case("fcntl/zero-length-is-to-infinity/regular")
def to_infinity():
    write("file", b"x" * 10)
    with opened("file", os.O_RDWR) as descriptor, companion() as other:
        setlk(descriptor, WRITE, 5, 0)
        other.fails((errno.EAGAIN, errno.EACCES), "lock", READ, 1 << 40, 1)
        other.fails((errno.EAGAIN, errno.EACCES), "lock", READ, MAX, 1)
        other.does("lock", READ, 0, 5)


@case("fcntl/F_GETLK-tells-who-and-what-of-{owner}/regular", owner=tuple(COMMANDS))
def tells(owner):
    write("file", b"x" * 100)
    set_command, get_command = COMMANDS[owner]
    with opened("file", os.O_RDWR) as descriptor, companion() as other:
        other.does("lock", WRITE, 10, 20)
        kind, whence, start, length, pid = getlk(descriptor, READ, 0, 0, get_command)
        equal((kind, whence, start, length, pid), (WRITE, os.SEEK_SET, 10, 20, other.pid), "lock")
        equal(getlk(descriptor, READ, 30, 10, get_command)[0], UNLOCK, "type of no lock")
        setlk(descriptor, WRITE, 60, 10, command=set_command)
        seen = other.does("get", WRITE, 60, 1)
        equal(seen[:4], (WRITE, os.SEEK_SET, 60, 10), "lock")
        equal(seen[4], os.getpid() if owner == "process" else -1, "pid")


@case("fcntl/F_GETLK-does-not-see-own/regular")
def own():
    write("file", b"x" * 100)
    with opened("file", os.O_RDWR) as descriptor:
        setlk(descriptor, WRITE, 0, 0)
        equal(getlk(descriptor, WRITE)[0], UNLOCK, "type")


@case("fcntl/any-close-ends-the-processes-locks/regular")
def any_close():
    write("file", b"x" * 100)
    with opened("file", os.O_RDWR) as descriptor, companion() as other:
        setlk(descriptor, WRITE, 0, 0)
        os.close(os.open("file", os.O_RDONLY))
        other.does("lock", WRITE, 0, 0)


@case("fcntl/any-close-leaves-the-open-files-locks/regular")
def close_leaves():
    write("file", b"x" * 100)
    with opened("file", os.O_RDWR) as descriptor, companion() as other:
        setlk(descriptor, WRITE, 0, 0, command=COMMANDS["open-file"][0])
        os.close(os.open("file", os.O_RDONLY))
        other.fails((errno.EAGAIN, errno.EACCES), "lock", WRITE, 0, 0)


@case("fcntl/second-open-conflicts-with-open-files-lock/regular")
def second_open():
    write("file", b"x" * 100)
    command = COMMANDS["open-file"][0]
    with opened("file", os.O_RDWR) as first, opened("file", os.O_RDWR) as second:
        setlk(first, WRITE, 0, 10, command=command)
        fails(errno.EAGAIN, setlk, second, READ, 5, 1, command=command)
        fails((errno.EAGAIN, errno.EACCES), setlk, second, READ, 5, 1)
        setlk(second, WRITE, 10, 10, command=command)


@case("fcntl/ends-with-exit-of-{owner}/regular", owner=("process",))
def exit_ends(owner):
    write("file", b"x" * 100)
    with opened("file", os.O_RDWR) as descriptor:
        with companion() as other:
            other.does("lock", WRITE, 0, 0)
            fails((errno.EAGAIN, errno.EACCES), setlk, descriptor, READ)
        setlk(descriptor, WRITE)
        check(owner == "process", owner)


@case("fcntl/not-inherited-by-fork/regular")
def not_inherited():
    write("file", b"x" * 100)
    with opened("file", os.O_RDWR) as descriptor:
        setlk(descriptor, WRITE, 0, 10)
        with Companion(lock=lambda: setlk(descriptor, READ, 0, 10)) as child:
            child.fails((errno.EAGAIN, errno.EACCES), "lock")


@case("fcntl/open-files-lock-inherited-by-fork/regular")
def inherited():
    write("file", b"x" * 100)
    command = COMMANDS["open-file"][0]
    with opened("file", os.O_RDWR) as descriptor:
        setlk(descriptor, WRITE, 0, 10, command=command)
        with Companion(unlock=lambda: setlk(descriptor, UNLOCK, 0, 10, command=command)) as child:
            with opened("file", os.O_RDWR) as second:
                fails(errno.EAGAIN, setlk, second, WRITE, 0, 10, command=command)
                child.does("unlock")
                setlk(second, WRITE, 0, 10, command=command)


@case("fcntl/F_SETLKW-waits/regular")
def waits():
    write("file", b"x" * 100)
    with opened("file", os.O_RDWR) as descriptor, companion() as other:
        setlk(descriptor, WRITE, 0, 10)
        other.order("lock", WRITE, 5, 10, os.SEEK_SET, fcntl.F_SETLKW)
        time.sleep(0.03)
        setlk(descriptor, UNLOCK, 0, 10)
        equal(other.answer()[0], "ok", "answer of the one who waited")
        fails((errno.EAGAIN, errno.EACCES), setlk, descriptor, READ, 14, 1)


@case("fcntl/EDEADLK/regular")
def deadlock():
    write("file", b"x" * 100)
    with opened("file", os.O_RDWR) as descriptor, companion() as other:
        setlk(descriptor, WRITE, 0, 1)
        other.does("lock", WRITE, 1, 1)
        other.order("lock", WRITE, 0, 1, os.SEEK_SET, fcntl.F_SETLKW)
        time.sleep(0.03)
        fails(errno.EDEADLK, setlk, descriptor, WRITE, 1, 1, command=fcntl.F_SETLKW)
        setlk(descriptor, UNLOCK)
        equal(other.answer()[0], "ok", "answer of the one who waited")


@case("fcntl/EBADF-{kind}-lock-needs-access/regular", kind=("read", "write"))
def needs_access(kind):
    write("file", b"x" * 100)
    flags, lock = (os.O_WRONLY, READ) if kind == "read" else (os.O_RDONLY, WRITE)
    with opened("file", flags) as descriptor:
        fails(errno.EBADF, setlk, descriptor, lock)
        setlk(descriptor, READ if lock == WRITE else WRITE)


@case("fcntl/EINVAL-{what}/regular", what=("type", "whence", "negative-start", "before-start"))
def invalid(what):
    write("file", b"x" * 100)
    arguments = {"type": (99, 0, 1), "whence": (READ, 0, 1, 99), "negative-start": (READ, -1, 1),
                 "before-start": (READ, 5, -6)}[what]
    with opened("file", os.O_RDWR) as descriptor:
        fails(errno.EINVAL, setlk, descriptor, *arguments)


@case("fcntl/EOVERFLOW/regular")
def overflow():
    write("file", b"x" * 100)
    with opened("file", os.O_RDWR) as descriptor:
        fails(errno.EOVERFLOW, setlk, descriptor, READ, MAX - 5, 100)
        fails(errno.EOVERFLOW, setlk, descriptor, READ, MAX, 1, os.SEEK_END)
        setlk(descriptor, READ, MAX, 1)


@case("fcntl/lock-on-{kind}/{kind}", kind=("regular", "directory"))
def kinds(kind):
    make(kind, "file")
    with opened("file", os.O_RDONLY) as descriptor:
        setlk(descriptor, READ)
        equal(getlk(descriptor, READ)[0], UNLOCK, "type of a lock in the way")
