# SPDX-License-Identifier: BSD-3-Clause
"""lseek, with SEEK_DATA and SEEK_HOLE."""

import errno
import mmap
import os

from .framework.at_rules import opened
from .framework.checks import Skip, check, equal, fails
from .framework.files import make, write
from .framework.libc import FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, fallocate
from .framework.registry import case

MIB = 1 << 20
LAYOUTS = {   # where 64 KiB of data are, in a file of 8 MiB
    "data-first": (0,), "data-last": (8 * MIB - 65536,), "data-in-the-middle": (4 * MIB,),
    "two-islands": (MIB, 5 * MIB), "no-data": (), "many-islands": tuple(range(0, 8 * MIB, MIB)),
}


def layout(name, path="file"):
    with open(path, "wb", buffering=0) as file:
        for offset in LAYOUTS[name]:
            os.pwrite(file.fileno(), b"d" * 65536, offset)
        os.ftruncate(file.fileno(), 8 * MIB)
    return LAYOUTS[name]


def regions(descriptor, size):
    """The data regions as SEEK_DATA and SEEK_HOLE tell them."""
    found, offset = [], 0
    while offset < size:
        try:
            start = os.lseek(descriptor, offset, os.SEEK_DATA)
        except OSError as error:
            equal(error.errno, errno.ENXIO, "errno of SEEK_DATA")
            break
        offset = os.lseek(descriptor, start, os.SEEK_HOLE)
        check(start < offset <= size, f"data from {start} to {offset}")
        found.append((start, offset))
    return found


@case("lseek/{whence}/regular", whence=("SEEK_SET", "SEEK_CUR", "SEEK_END"))
def plain(whence):
    write("file", b"0123456789")
    with opened("file", os.O_RDONLY) as descriptor:
        os.lseek(descriptor, 4, os.SEEK_SET)
        offset, expected = {"SEEK_SET": (7, 7), "SEEK_CUR": (-1, 3), "SEEK_END": (-2, 8)}[whence]
        equal(os.lseek(descriptor, offset, getattr(os, whence)), expected, "offset")
        equal(os.read(descriptor, 1), str(expected).encode(), "byte there")


@case("lseek/beyond-the-end-changes-no-size/regular")
def beyond():
    write("file", b"0123456789")
    with opened("file", os.O_RDWR) as descriptor:
        equal(os.lseek(descriptor, 1 << 40, os.SEEK_SET), 1 << 40, "offset")
        equal(os.read(descriptor, 1), b"", "what is read there")
        equal(os.fstat(descriptor).st_size, 10, "size")


@case("lseek/EINVAL-{what}/regular", what=("negative", "whence", "before-start"))
def invalid(what):
    write("file", b"0123456789")
    with opened("file", os.O_RDONLY) as descriptor:
        os.lseek(descriptor, 5, os.SEEK_SET)
        arguments = {"negative": (-1, os.SEEK_SET), "whence": (0, 99),
                     "before-start": (-11, os.SEEK_END)}[what]
        fails(errno.EINVAL, os.lseek, descriptor, *arguments)
        equal(os.lseek(descriptor, 0, os.SEEK_CUR), 5, "offset afterwards")


@case("lseek/ESPIPE/fifo")
def fifo():
    make("fifo", "fifo")
    with opened("fifo", os.O_RDWR) as descriptor:
        for whence in (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END, os.SEEK_DATA, os.SEEK_HOLE):
            fails(errno.ESPIPE, os.lseek, descriptor, 0, whence)


@case("lseek/EBADF/regular")
def bad_descriptor():
    fails(errno.EBADF, os.lseek, 1 << 20, 0, os.SEEK_SET)


@case("lseek/ENXIO-{whence}-at-end/regular", whence=("SEEK_DATA", "SEEK_HOLE"))
def at_end(whence):
    write("file", b"0123456789")
    with opened("file", os.O_RDONLY) as descriptor:
        for offset in (10, 11, 1 << 40):
            fails(errno.ENXIO, os.lseek, descriptor, offset, getattr(os, whence))


@case("lseek/ENXIO-{whence}-negative/regular", whence=("SEEK_DATA", "SEEK_HOLE"))
def negative(whence):
    write("file", b"0123456789")
    with opened("file", os.O_RDONLY) as descriptor:
        fails((errno.ENXIO, errno.EINVAL), os.lseek, descriptor, -1, getattr(os, whence))


@case("lseek/ENXIO-{whence}-of-empty/regular", whence=("SEEK_DATA", "SEEK_HOLE"))
def of_empty(whence):
    make("regular", "file")
    with opened("file", os.O_RDONLY) as descriptor:
        fails(errno.ENXIO, os.lseek, descriptor, 0, getattr(os, whence))


@case("lseek/SEEK_HOLE-ends-at-the-size/regular")
def virtual_hole():
    write("file", b"x" * 10000)
    with opened("file", os.O_RDONLY) as descriptor:
        equal(os.lseek(descriptor, 0, os.SEEK_HOLE), 10000, "hole")
        equal(os.lseek(descriptor, 0, os.SEEK_CUR), 10000, "offset")
        equal(os.lseek(descriptor, 9999, os.SEEK_HOLE), 10000, "hole")


@case("lseek/SEEK_DATA-inside-data-stays/regular")
def inside():
    write("file", b"x" * 10000)
    with opened("file", os.O_RDONLY) as descriptor:
        for offset in (0, 1, 4095, 4096, 9999):
            equal(os.lseek(descriptor, offset, os.SEEK_DATA), offset, "data")


@case("lseek/no-data-is-missed-{name}/regular", name=tuple(LAYOUTS))
def covers(name):
    """What is reported as data may be more than was written, but never less."""
    islands = layout(name)
    with opened("file", os.O_RDONLY) as descriptor:
        found = regions(descriptor, 8 * MIB)
    for offset in islands:
        check(any(start <= offset and offset + 65536 <= end for start, end in found),
              f"data at {offset} is not in {found}")


@case("lseek/SEEK_DATA-sees-stores-of-a-mapping/regular")
def stored():
    """Dirty pages count, though nobody has written them back yet."""
    make("regular", "file")
    with opened("file", os.O_RDWR) as descriptor:
        os.ftruncate(descriptor, 8 * MIB)
        with mmap.mmap(descriptor, 8 * MIB) as memory:
            memory[4 * MIB] = 0x78
            with opened("file", os.O_RDONLY) as other:
                found = regions(other, 8 * MIB)
            check(any(start <= 4 * MIB < end for start, end in found), f"data only in {found}")
            equal(memory[4 * MIB], 0x78, "byte in the mapping")


@case("lseek/holes-are-found-{name}/regular", name=tuple(LAYOUTS))
def exact(name):
    islands = layout(name)
    with opened("file", os.O_RDONLY) as descriptor:
        os.fsync(descriptor)
        found = regions(descriptor, 8 * MIB)
    if found == [(0, 8 * MIB)]:
        raise Skip("holes are not told from data")
    check(len(found) == len(islands), f"{found} for data at {islands}")
    for (start, end), offset in zip(found, islands):
        check(offset - MIB // 2 < start <= offset and end <= offset + MIB,
              f"{found} for data at {islands}")


@case("lseek/punched-range-becomes-a-hole/regular")
def punched():
    write("file", b"d" * (4 * MIB))
    with opened("file", os.O_RDWR) as descriptor:
        os.fsync(descriptor)
        try:
            fallocate(descriptor, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, MIB, MIB)
        except OSError as error:
            equal(error.errno, errno.EOPNOTSUPP, "errno")
            raise Skip("no holes can be punched") from None
        found = regions(descriptor, 4 * MIB)
    if found == [(0, 4 * MIB)]:
        raise Skip("holes are not told from data")
    equal(found, [(0, MIB), (2 * MIB, 4 * MIB)], "data")


@case("lseek/unsynced-data-is-data/regular")
def unsynced():
    with open("file", "w+b", buffering=0) as file:
        os.ftruncate(file.fileno(), 8 * MIB)
        os.pwrite(file.fileno(), b"d" * 4096, 4 * MIB)
        found = os.lseek(file.fileno(), 0, os.SEEK_DATA)
        check(found <= 4 * MIB, f"first data at {found}")
        check(os.lseek(file.fileno(), 4 * MIB, os.SEEK_HOLE) >= 4 * MIB + 4096, "hole in data")


@case("lseek/64-bit-{whence}/regular", whence=("SEEK_DATA", "SEEK_HOLE"))
def far(whence):
    make("regular", "file")
    far_away = 5 << 32
    with opened("file", os.O_RDWR) as descriptor:
        os.pwrite(descriptor, b"d" * 4096, far_away)
        os.ftruncate(descriptor, far_away + MIB)
        if whence == "SEEK_DATA":
            found = os.lseek(descriptor, 1 << 32, os.SEEK_DATA)
            check(found in (1 << 32, far_away), f"data at {found}")
        else:
            found = os.lseek(descriptor, far_away, os.SEEK_HOLE)
            check(far_away + 4096 <= found <= far_away + MIB, f"hole at {found}")


@case("lseek/rewinds/directory")
def directory():
    os.mkdir("dir")
    make("regular", "dir/file")
    with opened("dir") as descriptor:
        equal(os.listdir(descriptor), ["file"], "names")
        equal(os.lseek(descriptor, 0, os.SEEK_SET), 0, "offset")
        make("regular", "dir/second")
        equal(sorted(os.listdir(descriptor)), ["file", "second"], "names")
