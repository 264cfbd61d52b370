# SPDX-License-Identifier: BSD-3-Clause
"""copy_file_range."""

import contextlib
import ctypes
import errno
import os

from .framework import libc
from .framework.apart import ALICE, BOB, Limited
from .framework.at_rules import opened
from .framework.checks import Skip, changes, check, equal, fails, keeps, mode_is
from .framework.enospc import full_case
from .framework.files import make, read, write
from .framework.registry import case
from .framework.sizes import PATTERN


def copy(source, target, count, source_offset=None, target_offset=None):
    return os.copy_file_range(source, target, count, source_offset, target_offset)


@contextlib.contextmanager
def pair(source_flags=os.O_RDONLY, target_flags=os.O_WRONLY):
    if not os.path.exists("source"):
        write("source", PATTERN)
    if not os.path.exists("target"):
        make("regular", "target")
    with opened("source", source_flags) as source, opened("target", target_flags) as target:
        yield source, target


def all_of(source, target, count):
    """Short copies are allowed."""
    done = 0
    while done < count:
        some = copy(source, target, count - done)
        check(some > 0, f"ended after {done} of {count} bytes")
        done += some


@case("copy_file_range/copies-all/regular")
def copies():
    with pair() as (source, target):
        all_of(source, target, len(PATTERN))
    check(read("target") == PATTERN, "contents differ")


@case("copy_file_range/moves-both-offsets/regular")
def moves_offsets():
    with pair() as (source, target):
        os.lseek(source, 100, os.SEEK_SET)
        count = copy(source, target, 50)
        equal(os.lseek(source, 0, os.SEEK_CUR), 100 + count, "offset of the source")
        equal(os.lseek(target, 0, os.SEEK_CUR), count, "offset of the target")
    check(read("target") == PATTERN[100:100 + count], "contents differ")


@case("copy_file_range/given-offsets-leave-the-others/regular")
def given_offsets():
    with pair() as (source, target):
        count = copy(source, target, 300, 1000, 5000)
        equal(os.lseek(source, 0, os.SEEK_CUR), 0, "offset of the source")
        equal(os.lseek(target, 0, os.SEEK_CUR), 0, "offset of the target")
    check(read("target") == bytes(5000) + PATTERN[1000:1000 + count], "contents differ")


@case("copy_file_range/overwrites-in-the-middle/regular")
def middle():
    write("target", b"#" * 10000)
    with pair() as (source, target):
        count = copy(source, target, 4000, 1, 3001)
    expected = b"#" * 3001 + PATTERN[1:1 + count] + b"#" * (10000 - 3001 - count)
    check(read("target") == expected, "contents differ")


@case("copy_file_range/stops-at-the-end/regular")
def short():
    with pair() as (source, target):
        equal(copy(source, target, 100, len(PATTERN) - 7, 0), 7, "bytes copied")
        equal(copy(source, target, 100, len(PATTERN), 0), 0, "bytes copied at the end")
        equal(copy(source, target, 100, len(PATTERN) + 999, 0), 0, "bytes copied beyond the end")
    equal(os.stat("target").st_size, 7, "size")


@case("copy_file_range/nothing-of-nothing/regular")
def nothing():
    with pair() as (source, target), keeps("target", "size", "mtime"):
        equal(copy(source, target, 0), 0, "bytes copied")


@case("copy_file_range/of-empty-file/regular")
def empty():
    make("regular", "source")
    with pair() as (source, target):
        equal(copy(source, target, 1000), 0, "bytes copied")


@case("copy_file_range/changes-times-of-target/regular")
def times():
    with pair() as (source, target):
        with changes("target", "mtime", "ctime"), keeps("source", "mtime", "ctime"):
            copy(source, target, 1000)


@case("copy_file_range/within-a-file/regular")
def within():
    write("source", PATTERN)
    with opened("source", os.O_RDWR) as descriptor:
        count = copy(descriptor, descriptor, 1000, 0, 20000)
    check(read("source")[20000:] == PATTERN[:count], "contents differ")


@case("copy_file_range/within-a-file-to-{where}/regular", where=("right-behind", "right-before"))
def adjacent(where):
    """Ranges that touch do not overlap."""
    write("source", PATTERN[:2000])
    start, to = (0, 1000) if where == "right-behind" else (1000, 0)
    with opened("source", os.O_RDWR) as descriptor:
        count = copy(descriptor, descriptor, 1000, start, to)
    expected = bytearray(PATTERN[:2000])
    expected[to:to + count] = PATTERN[start:start + count]
    check(count > 0 and read("source") == expected, "contents differ")


@case("copy_file_range/EINVAL-overlap/regular")
def overlap():
    write("source", PATTERN)
    with opened("source", os.O_RDWR) as descriptor:
        fails(errno.EINVAL, copy, descriptor, descriptor, 1000, 0, 500)
        fails(errno.EINVAL, copy, descriptor, descriptor, 1000, 500, 0)
    check(read("source") == PATTERN, "contents changed")


@case("copy_file_range/from-unsynced-data/regular")
def unsynced():
    with open("source", "w+b", buffering=0) as file, opened(
            "target", os.O_CREAT | os.O_RDWR) as target:
        file.write(PATTERN)
        count = copy(file.fileno(), target, len(PATTERN), 0, 0)
        check(os.pread(target, count, 0) == PATTERN[:count], "contents differ")


@case("copy_file_range/then-writes-stay-apart/regular")
def independent():
    """Whether or not blocks are shared, the files are not."""
    with pair(target_flags=os.O_RDWR) as (source, target):
        all_of(source, target, len(PATTERN))
        os.pwrite(target, b"changed", 0)
    check(read("source") == PATTERN, "the source changed")
    check(read("target") == b"changed" + PATTERN[7:], "contents are wrong")


@case("copy_file_range/large/regular")
def large():
    data = os.urandom(1 << 16) * 80
    write("source", data)
    with pair() as (source, target):
        all_of(source, target, len(data))
    check(read("target") == data, "contents differ")


@case("copy_file_range/64-bit-offsets/regular")
def far():
    with pair(os.O_RDWR) as (source, target):
        os.pwrite(source, b"far away", 6 << 32)
        equal(copy(source, target, 8, 6 << 32, 7 << 32), 8, "bytes copied")
    equal(os.stat("target").st_size, (7 << 32) + 8, "size")
    with opened("target", os.O_RDONLY) as target:
        equal(os.pread(target, 8, 7 << 32), b"far away", "contents")


@case("copy_file_range/holes-read-as-zeros/regular")
def sparse():
    with open("source", "wb", buffering=0) as file:
        os.pwrite(file.fileno(), b"data", 1 << 20)
        os.ftruncate(file.fileno(), 2 << 20)
    with pair() as (source, target):
        all_of(source, target, 2 << 20)
    check(read("target") == read("source"), "contents differ")


@case("copy_file_range/EBADF-{what}/regular",
      what=("source-write-only", "target-read-only", "target-append", "closed"))
def bad_descriptor(what):
    flags = {"source-write-only": (os.O_WRONLY, os.O_WRONLY),
             "target-read-only": (os.O_RDONLY, os.O_RDONLY),
             "target-append": (os.O_RDONLY, os.O_WRONLY | os.O_APPEND),
             "closed": (os.O_RDONLY, os.O_WRONLY)}[what]
    with pair(*flags) as (source, target):
        if what == "closed":
            fails(errno.EBADF, copy, 1 << 20, target, 10)
            fails(errno.EBADF, copy, source, 1 << 20, 10)
        else:
            fails(errno.EBADF, copy, source, target, 10)
    equal(os.stat("target").st_size, 0, "size")


@case("copy_file_range/EISDIR/directory")
def directory():
    os.mkdir("dir")
    with pair() as (_, target), opened("dir") as folder:
        fails(errno.EISDIR, copy, folder, target, 10)


@case("copy_file_range/EINVAL/{kind}", kind=("fifo", "char"))
def special(kind):
    make(kind, "special", 0o666)
    try:
        with pair() as (source, target), opened("special", os.O_RDWR) as descriptor:
            fails(errno.EINVAL, copy, descriptor, target, 10)
            fails(errno.EINVAL, copy, source, descriptor, 10)
    except PermissionError:
        raise Skip("mounted nodev") from None


@case("copy_file_range/EINVAL-flags/regular")
def flags():
    with pair() as (source, target):
        fails(errno.EINVAL, libc.call, "copy_file_range", source, None, target, None, 10, 1)


@case("copy_file_range/EOVERFLOW-{which}/regular", which=("source", "target"))
def overflow(which):
    """Offset and count together do not fit into 64 bits."""
    offset = ctypes.byref(ctypes.c_int64(100))
    with pair() as (source, target):
        offsets = (offset, None) if which == "source" else (None, offset)
        fails(errno.EOVERFLOW, libc.call, "copy_file_range", source, offsets[0], target,
              offsets[1], -1, 0)
    equal(os.stat("target").st_size, 0, "size")


@case("copy_file_range/EFBIG-limit/regular")
def limit():
    with pair() as (source, target):
        Limited(1000).fails(errno.EFBIG, copy, source, target, 100, 0, 1000)
        equal(Limited(1000).does(copy, source, target, 5000, 0, 900), 100, "bytes copied")
    equal(os.stat("target").st_size, 1000, "size")


@full_case("copy_file_range/ENOSPC/regular", prepare=lambda: write("source", PATTERN[:4096]))
def no_space(number):
    with pair() as (source, target):
        equal(copy(source, target, 4096, 0, number * 4096), 4096, "bytes copied")
        os.fsync(target)


@case("copy_file_range/clears-setid/regular", root=True)
def clears():
    write("source", PATTERN)
    write("target", PATTERN)
    ALICE.owns("target", 0o6777)

    def steps():
        with pair() as (source, target):
            check(copy(source, target, 100) > 0, "nothing copied")
    BOB.runs(steps)
    mode_is("target", 0o777)
