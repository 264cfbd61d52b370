# SPDX-License-Identifier: BSD-3-Clause
"""mmap and msync, MAP_SHARED and MAP_PRIVATE."""

import ctypes
import errno
import mmap
import os
import signal

from .framework import libc
from .framework.apart import ANOTHER
from .framework.at_rules import opened
from .framework.checks import Failure, Skip, changes, check, equal, fails, keeps
from .framework.files import TMPFS, filesystem_type, make, read, write
from .framework.processes import Companion
from .framework.registry import case
from .framework.sizes import PATTERN

PAGE = mmap.PAGESIZE
READ, WRITE = mmap.PROT_READ, mmap.PROT_WRITE
SHARES = {"shared": mmap.MAP_SHARED, "private": mmap.MAP_PRIVATE}


def mapped(descriptor, length=len(PATTERN), share="shared", protection=READ | WRITE, offset=0):
    try:
        return mmap.mmap(descriptor, length, SHARES[share], protection, offset=offset)
    except OSError as error:
        if error.errno == errno.ENODEV:
            raise Skip(f"no {share} mappings") from None
        raise


def bytes_at(address, length=PAGE):
    return (ctypes.c_char * length).from_address(address)


def raw_map(descriptor, flags, protection, length=PAGE):
    """By the C library: Python's mmap looks at the size of the file itself. The address."""
    return libc.mmap(length, protection, flags, descriptor)


@case("mmap/{share}-shows-the-file/regular", share=tuple(SHARES))
def shows(share):
    write("file", PATTERN)
    with opened("file", os.O_RDWR) as descriptor, mapped(descriptor, share=share) as area:
        check(area[:] == PATTERN, "contents differ")


@case("mmap/shared-store-reaches-{reader}/regular",
      reader=("descriptor", "other-process", "second-mapping", "after-unmap"))
def store_reaches(reader):
    write("file", PATTERN)
    with opened("file", os.O_RDWR) as descriptor:
        area = mapped(descriptor)
        area[5000:5005] = b"store"
        if reader == "descriptor":
            seen = os.pread(descriptor, 5, 5000)
        elif reader == "other-process":
            seen = ANOTHER.does(lambda: read("file")[5000:5005])
        elif reader == "second-mapping":
            seen = mapped(descriptor)[5000:5005]
        else:
            area.close()
            seen = os.pread(descriptor, 5, 5000)
    equal(seen, b"store", "what is seen")
    equal(len(read("file")), len(PATTERN), "size")


@case("mmap/{share}-shows-later-writes/regular", share=("shared",))
def shows_writes(share):
    write("file", PATTERN)
    with opened("file", os.O_RDWR) as descriptor, mapped(descriptor, share=share) as area:
        equal(area[:5], PATTERN[:5], "contents before")
        os.pwrite(descriptor, b"write", 0)
        equal(area[:5], b"write", "contents")
        ANOTHER.does(lambda: os.pwrite(descriptor, b"other", 6000))
        equal(area[6000:6005], b"other", "contents")


@case("mmap/shared-between-processes/regular")
def between():
    write("file", PATTERN)
    with opened("file", os.O_RDWR) as descriptor, mapped(descriptor) as area:
        def store(number):
            area[number] = 255
        with Companion(store=store, load=lambda number: area[number]) as other:
            area[100] = 254
            equal(other.does("load", 100), 254, "what the other sees")
            other.does("store", 9000)
            equal(area[9000], 255, "what the other stored")


@case("mmap/private-store-stays-private/regular")
def private():
    write("file", PATTERN)
    with opened("file", os.O_RDONLY) as descriptor:
        with mapped(descriptor, share="private") as area:
            with keeps("file", "mtime", "ctime"):
                area[0:5] = b"store"
                equal(area[0:5], b"store", "contents of the mapping")
            check(os.pread(descriptor, len(PATTERN), 0) == PATTERN, "the file changed")
    check(read("file") == PATTERN, "the file changed")


@case("mmap/private-store-outlives-a-write/regular")
def private_after_write():
    write("file", PATTERN)
    with opened("file", os.O_RDWR) as descriptor:
        with mapped(descriptor, share="private") as area:
            area[0:5] = b"store"
            os.pwrite(descriptor, b"write", 0)
            equal(area[0:5], b"store", "contents of the mapping")
            equal(os.pread(descriptor, 5, 0), b"write", "contents of the file")


@case("mmap/{share}-lives-on-after-{what}/regular", share=tuple(SHARES),
      what=("close", "unlink", "rename"))
def lives_on(share, what):
    write("file", PATTERN)
    descriptor = os.open("file", os.O_RDWR)
    area = mapped(descriptor, share=share)
    os.close(descriptor)
    if what == "unlink":
        os.unlink("file")
    elif what == "rename":
        os.rename("file", "moved")
    check(area[:] == PATTERN, "contents differ")
    area[0:5] = b"store"
    equal(area[0:5], b"store", "contents")


@case("mmap/tail-of-last-page-is-zero/regular")
def tail():
    write("file", PATTERN[:100])
    with opened("file", os.O_RDWR) as descriptor, mapped(descriptor, 100) as area:
        address = raw_map(descriptor, mmap.MAP_SHARED, READ | WRITE)
        page = bytes_at(address)
        equal(page[100:PAGE], bytes(PAGE - 100), "tail")
        page[200] = b"x"
        equal(area[:], PATTERN[:100], "contents")
    equal(read("file"), PATTERN[:100], "contents of the file")


@case("mmap/store-behind-the-end-is-lost/regular")
def lost_tail():
    if filesystem_type() == TMPFS:
        raise Skip("tmpfs, whose pages are the file, keeps it and shows it when the file grows")
    write("file", PATTERN[:100])
    with opened("file", os.O_RDWR) as descriptor:
        address = raw_map(descriptor, mmap.MAP_SHARED, READ | WRITE)
        page = bytes_at(address)
        page[200] = b"x"
        os.fsync(descriptor)
        equal(os.fstat(descriptor).st_size, 100, "size")
        os.ftruncate(descriptor, 300)
        equal(os.pread(descriptor, 200, 100), bytes(200), "what is between the ends")


def touches(length, cut=None):
    """In a child: maps the file, cuts it, touches the last page."""
    with opened("file", os.O_RDWR) as descriptor:
        address = raw_map(descriptor, mmap.MAP_SHARED, READ | WRITE, length)
        page = bytes_at(address, length)
        if cut is not None:
            page[length - 1] = b"x"
            os.ftruncate(descriptor, cut)
        return page[length - 1]


def dies_of_sigbus(function):
    kind, what, _ = ANOTHER.run(function)
    if kind != "died" or signal.SIGBUS.name not in str(what):
        raise Failure(f"{kind}: {what}, expected SIGBUS")
    check(True, "SIGBUS")


@case("mmap/SIGBUS-beyond-the-end/regular")
def beyond():
    write("file", PATTERN[:100])
    dies_of_sigbus(lambda: touches(2 * PAGE))


@case("mmap/SIGBUS-of-empty-file/regular")
def empty():
    make("regular", "file")
    dies_of_sigbus(lambda: touches(PAGE))


@case("mmap/SIGBUS-after-truncate/regular")
def after_truncate():
    write("file", PATTERN)
    dies_of_sigbus(lambda: touches(3 * PAGE, cut=PAGE))


@case("mmap/grows-with-the-file/regular")
def grows():
    write("file", PATTERN[:PAGE])
    with opened("file", os.O_RDWR) as descriptor:
        address = raw_map(descriptor, mmap.MAP_SHARED, READ | WRITE, 2 * PAGE)
        os.ftruncate(descriptor, 2 * PAGE)
        page = bytes_at(address, 2 * PAGE)
        page[PAGE + 10] = b"x"
        equal(os.pread(descriptor, 1, PAGE + 10), b"x", "contents")


@case("mmap/truncate-and-regrow-reads-zero/regular")
def regrown():
    write("file", PATTERN)
    with opened("file", os.O_RDWR) as descriptor, mapped(descriptor) as area:
        os.ftruncate(descriptor, 100)
        os.ftruncate(descriptor, len(PATTERN))
        check(area[:] == PATTERN[:100] + bytes(len(PATTERN) - 100), "old bytes came back")


@case("mmap/store-into-a-hole/regular")
def hole():
    make("regular", "file")
    os.truncate("file", 1 << 20)
    with opened("file", os.O_RDWR) as descriptor, mapped(descriptor, 1 << 20) as area:
        equal(area[500_000:500_010], bytes(10), "hole")
        area[500_000:500_005] = b"store"
        area.flush()
    data = read("file")
    equal(data[500_000:500_005], b"store", "contents")
    equal(data.count(0), (1 << 20) - 5, "zeros")


@case("mmap/offset-counts/regular")
def offset_counts():
    write("file", PATTERN)
    with opened("file", os.O_RDWR) as descriptor, mapped(descriptor, PAGE, offset=PAGE) as area:
        check(area[:] == PATTERN[PAGE:2 * PAGE], "contents differ")
        area[1] = 255
    equal(read("file")[PAGE + 1], 255, "byte stored")


@case("mmap/64-bit-offset/regular")
def far():
    make("regular", "file")
    with opened("file", os.O_RDWR) as descriptor:
        os.pwrite(descriptor, b"far away", 9 << 32)
        os.ftruncate(descriptor, (9 << 32) + PAGE)
        with mapped(descriptor, PAGE, offset=9 << 32) as area:
            equal(area[:8], b"far away", "contents")
            area[100] = 255
        equal(os.pread(descriptor, 1, (9 << 32) + 100), b"\xff", "byte stored")


@case("mmap/msync-{how}/regular", how=("MS_SYNC", "MS_ASYNC"))
def sync(how):
    write("file", PATTERN)
    with opened("file", os.O_RDWR) as descriptor:
        address = raw_map(descriptor, mmap.MAP_SHARED, READ | WRITE)
        page = bytes_at(address)
        page[7] = b"#"
        equal(libc.call("msync", address, PAGE, {"MS_SYNC": 4, "MS_ASYNC": 1}[how]), 0, "result")
    equal(read("file")[7:8], b"#", "contents")


@case("mmap/store-and-msync-update-times/regular")
def times():
    write("file", PATTERN)
    with opened("file", os.O_RDWR) as descriptor, mapped(descriptor) as area:
        os.fsync(descriptor)
        with changes("file", "mtime", "ctime"):
            area[0] = 255
            area.flush()


@case("mmap/EACCES-{what}/regular",
      what=("shared-write-of-read-only", "any-of-write-only", "private-of-write-only"))
def no_access(what):
    write("file", PATTERN)
    flags, share, protection = {
        "shared-write-of-read-only": (os.O_RDONLY, "shared", READ | WRITE),
        "any-of-write-only": (os.O_WRONLY, "shared", READ),
        "private-of-write-only": (os.O_WRONLY, "private", READ)}[what]
    with opened("file", flags) as descriptor:
        fails(errno.EACCES, raw_map, descriptor, SHARES[share], protection)


@case("mmap/private-write-of-read-only-descriptor/regular")
def private_of_read_only():
    write("file", PATTERN)
    with opened("file", os.O_RDONLY) as descriptor:
        check(raw_map(descriptor, mmap.MAP_PRIVATE, READ | WRITE) != 0, "no address")


@case("mmap/ENODEV/{kind}", kind=("directory", "fifo"))
def not_mappable(kind):
    make(kind, "file")
    with opened("file", os.O_RDONLY if kind == "directory" else os.O_RDWR) as descriptor:
        fails((errno.ENODEV, errno.EACCES), raw_map, descriptor, mmap.MAP_SHARED, READ)


@case("mmap/EBADF/regular")
def bad_descriptor():
    fails(errno.EBADF, raw_map, 1 << 20, mmap.MAP_SHARED, READ)


@case("mmap/EINVAL-{what}/regular", what=("no-length", "no-sharing"))
def invalid(what):
    write("file", PATTERN)
    with opened("file", os.O_RDWR) as descriptor:
        if what == "no-length":
            fails(errno.EINVAL, raw_map, descriptor, mmap.MAP_SHARED, READ, 0)
        else:
            fails(errno.EINVAL, raw_map, descriptor, 0, READ)


@case("mmap/large-file-page-by-page/regular")
def large():
    make("regular", "file")
    size = 8 << 20
    os.truncate("file", size)
    with opened("file", os.O_RDWR) as descriptor, mapped(descriptor, size) as area:
        for page in range(0, size, 16 * PAGE):
            area[page:page + 8] = page.to_bytes(8, "little")
    with open("file", "rb") as file:
        for page in range(0, size, 16 * PAGE):
            equal(os.pread(file.fileno(), 8, page), page.to_bytes(8, "little"), "contents")


@case("mmap/buffered-append-is-seen/regular")
def append():
    write("file", PATTERN[:100])
    with opened("file", os.O_RDWR | os.O_APPEND) as descriptor:
        address = raw_map(descriptor, mmap.MAP_SHARED, READ)
        page = bytes_at(address)
        equal(page[100:105], bytes(5), "tail")
        os.write(descriptor, b"added")
        equal(page[100:105], b"added", "contents")
