# SPDX-License-Identifier: BSD-3-Clause
"""O_DIRECT: past the page cache, and at one with who goes through it."""

import contextlib
import errno
import mmap
import os

from .framework.at_rules import opened
from .framework.checks import Skip, changes, check, equal, fails
from .framework.files import make, read, write
from .framework.registry import case
from .framework.sizes import PATTERN

BLOCK = 4096


@contextlib.contextmanager
def open_direct(path="file", flags=os.O_RDWR):
    try:
        descriptor = os.open(path, flags | os.O_DIRECT)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise Skip("no O_DIRECT") from None
        raise
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def buffer(data=None, length=BLOCK):
    """Aligned memory."""
    area = mmap.mmap(-1, max(length, len(data or b"")))
    if data:
        area[:len(data)] = data
    return area


def pread(descriptor, length, offset):
    area = buffer(length=length)
    count = os.preadv(descriptor, [area], offset)
    return area[:count]


@case("direct/writes-and-reads/regular")
def round_trip():
    make("regular", "file")
    data = os.urandom(4 * BLOCK)
    with open_direct() as descriptor:
        equal(os.pwritev(descriptor, [buffer(data)], 0), 4 * BLOCK, "bytes written")
        check(pread(descriptor, 4 * BLOCK, 0) == data, "contents differ")
    check(read("file") == data, "contents differ")


@case("direct/sees-buffered-writes/regular")
def sees_buffered():
    write("file", PATTERN)
    with open_direct() as descriptor:
        check(pread(descriptor, 2 * BLOCK, 0) == PATTERN[:2 * BLOCK], "contents differ")
        with opened("file", os.O_RDWR) as other:
            os.pwrite(other, b"changed", 100)
            equal(pread(descriptor, BLOCK, 0)[100:107], b"changed", "contents")


@case("direct/seen-by-buffered-reads/regular")
def seen_buffered():
    write("file", PATTERN)
    with opened("file", os.O_RDONLY) as other, open_direct() as descriptor:
        check(os.pread(other, BLOCK, 0) == PATTERN[:BLOCK], "contents differ")
        os.pwritev(descriptor, [buffer(b"#" * BLOCK)], 0)
        check(os.pread(other, BLOCK, 0) == b"#" * BLOCK, "old contents")


@case("direct/seen-by-mappings/regular")
def seen_mapped():
    write("file", PATTERN)
    with opened("file", os.O_RDWR) as other:
        try:
            area = mmap.mmap(other, BLOCK)
        except OSError as error:
            equal(error.errno, errno.ENODEV, "errno")
            raise Skip("no shared mappings") from None
        equal(area[:5], PATTERN[:5], "contents before")
        with open_direct() as descriptor:
            os.pwritev(descriptor, [buffer(b"#" * BLOCK)], 0)
        equal(area[:5], b"#####", "contents")
        area[0:5] = b"store"
        with open_direct() as descriptor:
            equal(pread(descriptor, BLOCK, 0)[:5], b"store", "contents")


@case("direct/read-ends-at-the-size/regular")
def short():
    write("file", PATTERN[:BLOCK + 100])
    with open_direct() as descriptor:
        equal(pread(descriptor, 4 * BLOCK, 0), PATTERN[:BLOCK + 100], "contents")
        equal(pread(descriptor, BLOCK, BLOCK), PATTERN[BLOCK:BLOCK + 100], "contents")
        equal(pread(descriptor, BLOCK, 2 * BLOCK), b"", "contents beyond the end")


@case("direct/grows-the-file/regular")
def grows():
    make("regular", "file")
    with open_direct() as descriptor, changes("file", "mtime", "ctime"):
        os.pwritev(descriptor, [buffer(b"#" * BLOCK)], 3 * BLOCK)
    equal(read("file"), bytes(3 * BLOCK) + b"#" * BLOCK, "contents")


@case("direct/unaligned-works-or-is-EINVAL/regular")
def unaligned():
    write("file", PATTERN)
    with open_direct() as descriptor:
        try:
            count = os.pwritev(descriptor, [buffer(b"x" * 100, 100)], 13)
        except OSError as error:
            equal(error.errno, errno.EINVAL, "errno")
            check(read("file") == PATTERN, "the refused write did something")
            return
        equal(count, 100, "bytes written")
    equal(read("file")[:200], PATTERN[:13] + b"x" * 100 + PATTERN[113:200], "contents")


@case("direct/large/regular")
def large():
    data = os.urandom(1 << 20) * 5
    make("regular", "file")
    with open_direct() as descriptor:
        equal(os.pwritev(descriptor, [buffer(data)], 0), len(data), "bytes written")
        check(pread(descriptor, len(data), 0) == data, "contents differ")


@case("direct/of-a-hole/regular")
def hole():
    make("regular", "file")
    os.truncate("file", 4 * BLOCK)
    with open_direct() as descriptor:
        equal(pread(descriptor, 4 * BLOCK, 0), bytes(4 * BLOCK), "contents")


@case("direct/append/regular")
def append():
    write("file", PATTERN[:BLOCK])
    with open_direct(flags=os.O_WRONLY | os.O_APPEND) as descriptor:
        os.writev(descriptor, [buffer(b"#" * BLOCK)])
    check(read("file") == PATTERN[:BLOCK] + b"#" * BLOCK, "contents differ")


@case("direct/EBADF-wrong-direction/regular")
def wrong_direction():
    write("file", PATTERN)
    with open_direct(flags=os.O_RDONLY) as descriptor:
        fails(errno.EBADF, os.pwritev, descriptor, [buffer(b"#" * BLOCK)], 0)


@case("direct/EFBIG-at-64-bits/regular")
def far():
    make("regular", "file")
    with open_direct() as descriptor:
        fails((errno.EFBIG, errno.EINVAL, errno.EOVERFLOW), os.pwritev, descriptor,
              [buffer(b"#" * BLOCK)], (1 << 63) - BLOCK)
    equal(os.stat("file").st_size, 0, "size")
