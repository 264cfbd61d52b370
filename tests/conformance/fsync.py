# SPDX-License-Identifier: BSD-3-Clause
"""fsync, fdatasync, syncfs, sync_file_range, O_SYNC and O_DSYNC: that they succeed where they must,
and change nothing else. Whether data is safe, no program on a running machine can tell."""

import errno
import fcntl
import mmap
import os

from .framework import libc
from .framework.apart import ReadOnly
from .framework.at_rules import opened
from .framework.checks import changes, check, equal, fails, keeps
from .framework.files import make, read, write
from .framework.registry import case
from .framework.sizes import PATTERN

CALLS = {"fsync": os.fsync, "fdatasync": os.fdatasync,
         "syncfs": lambda descriptor: libc.call("syncfs", descriptor)}
FLAGS = {"O_SYNC": os.O_SYNC, "O_DSYNC": os.O_DSYNC}


@case("fsync/{call}/{kind}", call=tuple(CALLS), kind=("regular", "directory"))
def succeeds(call, kind):
    make(kind, "file")
    with opened("file", os.O_RDONLY) as descriptor:
        with keeps("file", "mtime", "ctime", "atime", "size"):
            check(CALLS[call](descriptor) in (None, 0), "a result")


@case("fsync/{call}-after-write/regular", call=tuple(CALLS))
def after_write(call):
    with open("file", "w+b", buffering=0) as file:
        file.write(PATTERN)
        with keeps("file", "mtime", "ctime", "size"):
            CALLS[call](file.fileno())
        check(os.pread(file.fileno(), len(PATTERN), 0) == PATTERN, "contents changed")


@case("fsync/{call}-of-unlinked/regular", call=tuple(CALLS))
def of_unlinked(call):
    with open("file", "w+b", buffering=0) as file:
        file.write(PATTERN)
        os.unlink("file")
        CALLS[call](file.fileno())
        check(os.pread(file.fileno(), len(PATTERN), 0) == PATTERN, "contents changed")


@case("fsync/{call}-by-another-descriptor/regular", call=("fsync", "fdatasync"))
def by_another(call):
    with open("file", "wb", buffering=0) as file:
        file.write(PATTERN)
        with opened("file", os.O_RDONLY) as other:
            CALLS[call](other)
            check(os.pread(other, len(PATTERN), 0) == PATTERN, "contents changed")


@case("fsync/{call}-EBADF/regular", call=tuple(CALLS))
def bad_descriptor(call):
    make("regular", "file")
    fails(errno.EBADF, CALLS[call], 1 << 20)
    with opened("file", os.O_PATH) as descriptor:
        fails(errno.EBADF, CALLS[call], descriptor)


@case("fsync/{call}-EINVAL/fifo", call=("fsync", "fdatasync"))
def fifo(call):
    make("fifo", "fifo")
    with opened("fifo", os.O_RDWR) as descriptor:
        fails(errno.EINVAL, CALLS[call], descriptor)


@case("fsync/{call}-of-read-only-mount/regular", root=True, call=("fsync", "fdatasync"))
def read_only(call):
    os.mkdir("tree")
    write("tree/file", PATTERN)

    def steps():
        with opened("tree/file", os.O_RDONLY) as descriptor:
            return CALLS[call](descriptor)
    equal(ReadOnly("tree").does(steps), None, "result")


@case("fsync/{flag}-writes/regular", flag=tuple(FLAGS))
def sync_flag(flag):
    with opened("file", os.O_CREAT | os.O_RDWR | FLAGS[flag]) as descriptor:
        for offset in (0, 3, 5000, 100_000):
            with changes("file", "mtime"):
                equal(os.pwrite(descriptor, b"data", offset), 4, "bytes written")
            equal(os.pread(descriptor, 4, offset), b"data", "contents")
        equal(os.fstat(descriptor).st_size, 100_004, "size")
    equal(len(read("file")), 100_004, "size")


@case("fsync/{flag}-is-shown/regular", flag=tuple(FLAGS))
def shown(flag):
    with opened("file", os.O_CREAT | os.O_RDWR | FLAGS[flag]) as descriptor:
        equal(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_SYNC, FLAGS[flag], "flags")


@case("fsync/{flag}-append/regular", flag=tuple(FLAGS))
def append(flag):
    write("file", b"head")
    with opened("file", os.O_WRONLY | os.O_APPEND | FLAGS[flag]) as descriptor:
        os.write(descriptor, b"tail")
    equal(read("file"), b"headtail", "contents")


@case("fsync/{flag}-with-O_DIRECT-or-EINVAL/regular", flag=tuple(FLAGS))
def direct(flag):
    make("regular", "file")
    try:
        descriptor = os.open("file", os.O_RDWR | os.O_DIRECT | FLAGS[flag])
    except OSError as error:
        equal(error.errno, errno.EINVAL, "errno")
        return
    area = mmap.mmap(-1, 4096)
    area[:] = b"#" * 4096
    equal(os.pwritev(descriptor, [area], 0), 4096, "bytes written")
    equal(read("file"), b"#" * 4096, "contents")


@case("fsync/sync_file_range/regular")
def file_range():
    write("file", PATTERN)
    with opened("file", os.O_RDWR) as descriptor:
        equal(libc.call("sync_file_range", descriptor, 0, 4096, 7), 0, "result")
        fails(errno.EINVAL, libc.call, "sync_file_range", descriptor, -1, 10, 7)
        fails(errno.EINVAL, libc.call, "sync_file_range", descriptor, 0, 10, 1 << 10)
