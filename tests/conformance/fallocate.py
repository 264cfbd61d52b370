# SPDX-License-Identifier: BSD-3-Clause
"""fallocate: allocating, keeping the size, punching holes, zeroing, moving ranges."""

import errno
import os

from .framework.apart import ALICE, BOB, Limited
from .framework.at_rules import opened
from .framework.checks import Skip, changes, check, equal, fails, keeps, mode_is
from .framework.enospc import full_case
from .framework.files import make, read, write
from .framework.libc import (FALLOC_COLLAPSE_RANGE, FALLOC_INSERT_RANGE, FALLOC_KEEP_SIZE,
                             FALLOC_PUNCH_HOLE, FALLOC_ZERO_RANGE, fallocate)
from .framework.registry import case
from .framework.sizes import PATTERN

BLOCK = 4096
MODES = {
    "allocate": 0, "keep-size": FALLOC_KEEP_SIZE, "punch": FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE,
    "zero": FALLOC_ZERO_RANGE, "zero-keep-size": FALLOC_ZERO_RANGE | FALLOC_KEEP_SIZE,
    "collapse": FALLOC_COLLAPSE_RANGE, "insert": FALLOC_INSERT_RANGE,
}
COMMON = ("allocate", "keep-size", "punch", "zero", "zero-keep-size")
ZEROING = ("punch", "zero", "zero-keep-size")
RANGES = {"block": (BLOCK, BLOCK), "bytes-in-block": (100, 50), "across-blocks": (4000, 5000),
          "head": (0, 10), "to-end": (8192, len(PATTERN) - 8192), "all": (0, len(PATTERN))}


def apply(mode, offset, length, path="file"):
    """fallocate, or a skip if the filesystem knows no such mode."""
    with opened(path, os.O_RDWR) as descriptor:
        try:
            fallocate(descriptor, MODES[mode], offset, length)
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                raise Skip(f"no fallocate mode {mode}") from None
            raise


def size(path="file"):
    return os.stat(path).st_size


def allocated(path="file"):
    return os.stat(path).st_blocks * 512


@case("fallocate/{mode}-keeps-data/regular", mode=("allocate", "keep-size"))
def keeps_data(mode):
    write("file", PATTERN)
    apply(mode, 0, len(PATTERN))
    apply(mode, 100, 300)
    check(read("file") == PATTERN, "contents changed")


@case("fallocate/allocate-grows-with-zeros/regular")
def grows():
    write("file", b"head")
    apply("allocate", 2 * BLOCK, BLOCK + 1)
    equal(size(), 3 * BLOCK + 1, "size")
    equal(read("file"), b"head" + bytes(3 * BLOCK - 3), "contents")
    check(allocated() >= BLOCK + 1, f"{allocated()} bytes allocated")


@case("fallocate/{mode}-after-a-cut-reads-zero/regular", mode=("allocate", "zero"))
def after_cut(mode):
    """What was there before the file was cut does not come back when it grows again."""
    write("file", PATTERN)
    os.truncate("file", 10)
    apply(mode, 5000, 100)
    check(read("file") == PATTERN[:10] + bytes(5090), "contents are wrong")


@case("fallocate/allocate-never-shrinks/regular")
def never_shrinks():
    write("file", PATTERN)
    apply("allocate", 0, 10)
    equal(size(), len(PATTERN), "size")


@case("fallocate/keep-size-allocates-beyond-end/regular")
def beyond_end():
    write("file", b"head")
    apply("keep-size", 0, 1 << 20)
    equal(size(), 4, "size")
    equal(read("file"), b"head", "contents")
    check(allocated() >= 1 << 20, f"{allocated()} bytes allocated")


@case("fallocate/reserved-space-reads-zero-once-reached/regular")
def reached():
    write("file", b"head")
    apply("keep-size", 0, 4 * BLOCK)
    os.truncate("file", 3 * BLOCK)
    equal(read("file"), b"head" + bytes(3 * BLOCK - 4), "contents")


@case("fallocate/{mode}-{part}-reads-zero/regular", mode=ZEROING, part=tuple(RANGES))
def reads_zero(mode, part):
    write("file", PATTERN)
    offset, length = RANGES[part]
    apply(mode, offset, length)
    check(read("file") == PATTERN[:offset] + bytes(length) + PATTERN[offset + length:],
          "contents are wrong")
    equal(size(), len(PATTERN), "size")


@case("fallocate/{mode}-{part}-then-write/regular", mode=ZEROING, part=("block", "across-blocks"))
def then_write(mode, part):
    write("file", PATTERN)
    offset, length = RANGES[part]
    apply(mode, offset, length)
    with open("file", "r+b", buffering=0) as file:
        os.pwrite(file.fileno(), b"new", offset + 5)
    expected = bytearray(PATTERN[:offset] + bytes(length) + PATTERN[offset + length:])
    expected[offset + 5:offset + 8] = b"new"
    check(read("file") == bytes(expected), "contents are wrong")


@case("fallocate/{mode}-of-written-but-unsynced-data/regular", mode=ZEROING)
def unsynced(mode):
    with open("file", "w+b", buffering=0) as file:
        file.write(PATTERN)
        try:
            fallocate(file.fileno(), MODES[mode], BLOCK, BLOCK)
        except OSError as error:
            equal(error.errno, errno.EOPNOTSUPP, "errno")
            raise Skip(f"no fallocate mode {mode}") from None
        check(os.pread(file.fileno(), BLOCK, BLOCK) == bytes(BLOCK), "old bytes are still there")
        os.fsync(file.fileno())
    check(read("file")[BLOCK:2 * BLOCK] == bytes(BLOCK), "old bytes came back")


@case("fallocate/punch-frees-blocks/regular")
def punch_frees():
    write("file", bytes([1]) * (1 << 20))
    os.sync()
    before = allocated()
    apply("punch", 0, 1 << 19)
    check(allocated() <= before - (1 << 18), f"{before} bytes before, {allocated()} afterwards")
    equal(size(), 1 << 20, "size")


@case("fallocate/punch-beyond-end-keeps-size/regular")
def punch_beyond():
    write("file", PATTERN)
    apply("punch", len(PATTERN) + BLOCK, BLOCK)
    apply("punch", len(PATTERN) - 5, BLOCK)
    check(read("file") == PATTERN[:-5] + bytes(5), "contents are wrong")


@case("fallocate/zero-grows/regular")
def zero_grows():
    write("file", b"head")
    apply("zero", 2, 2 * BLOCK)
    equal(read("file"), b"he" + bytes(2 * BLOCK), "contents")


@case("fallocate/zero-keep-size-beyond-end/regular")
def zero_keeps_size():
    write("file", b"head")
    apply("zero-keep-size", 2, 2 * BLOCK)
    equal(read("file"), b"he\0\0", "contents")


@case("fallocate/collapse-takes-out/regular")
def collapse():
    write("file", PATTERN[:3 * BLOCK])
    apply("collapse", BLOCK, BLOCK)
    check(read("file") == PATTERN[:BLOCK] + PATTERN[2 * BLOCK:3 * BLOCK], "contents are wrong")


@case("fallocate/insert-pushes-apart/regular")
def insert():
    write("file", PATTERN[:2 * BLOCK])
    apply("insert", BLOCK, BLOCK)
    check(read("file") == PATTERN[:BLOCK] + bytes(BLOCK) + PATTERN[BLOCK:2 * BLOCK],
          "contents are wrong")


@case("fallocate/EINVAL-{mode}-unaligned/regular", mode=("collapse", "insert"))
def unaligned(mode):
    write("file", PATTERN)
    fails(errno.EINVAL, apply, mode, 100, BLOCK)
    check(read("file") == PATTERN, "contents changed")


@case("fallocate/{mode}-updates-ctime/regular", mode=COMMON)
def updates_ctime(mode):
    write("file", PATTERN)
    apply(mode, 0, 10)
    write("file", PATTERN)
    with changes("file", "ctime"), keeps("file", "atime"):
        apply(mode, 0, 2 * len(PATTERN))


@case("fallocate/{mode}-updates-mtime/regular", mode=("punch", "zero"))
def updates_mtime(mode):
    write("file", PATTERN)
    with changes("file", "mtime"):
        apply(mode, 0, 100)


@case("fallocate/EINVAL-{what}/regular",
      what=("no-length", "negative-length", "negative-offset"))
def invalid(what):
    offset, length = {"no-length": (0, 0), "negative-length": (0, -1),
                      "negative-offset": (-1, 10)}[what]
    write("file", PATTERN)
    with keeps("file", "size", "mtime"):
        with opened("file", os.O_RDWR) as descriptor:
            for mode in COMMON:
                fails(errno.EINVAL, fallocate, descriptor, MODES[mode], offset, length)


@case("fallocate/EOPNOTSUPP-{what}/regular",
      what=("punch-without-keep-size", "unknown-mode", "punch-and-zero"))
def unknown(what):
    mode = {"punch-without-keep-size": FALLOC_PUNCH_HOLE, "unknown-mode": 1 << 20,
            "punch-and-zero": FALLOC_PUNCH_HOLE | FALLOC_ZERO_RANGE | FALLOC_KEEP_SIZE}[what]
    write("file", PATTERN)
    with opened("file", os.O_RDWR) as descriptor:
        fails((errno.EOPNOTSUPP, errno.EINVAL), fallocate, descriptor, mode, 0, BLOCK)
    check(read("file") == PATTERN, "contents changed")


@case("fallocate/EBADF-{mode}/regular", mode=COMMON)
def read_only(mode):
    write("file", PATTERN)
    with opened("file", os.O_RDONLY) as descriptor:
        fails(errno.EBADF, fallocate, descriptor, MODES[mode], 0, BLOCK)
    fails(errno.EBADF, fallocate, -1, MODES[mode], 0, BLOCK)


@case("fallocate/ESPIPE/fifo")
def fifo():
    make("fifo", "fifo")
    with opened("fifo", os.O_RDWR) as descriptor:
        fails(errno.ESPIPE, fallocate, descriptor, 0, 0, BLOCK)


@case("fallocate/EBADF-directory/directory")
def directory():
    os.mkdir("dir")
    with opened("dir") as descriptor:
        fails((errno.EBADF, errno.EISDIR), fallocate, descriptor, 0, 0, BLOCK)


@case("fallocate/EFBIG-{what}/regular", what=("overflow", "limit"))
def too_big(what):
    write("file", b"head")
    if what == "limit":
        with opened("file", os.O_RDWR) as descriptor:
            Limited(BLOCK).fails(errno.EFBIG, fallocate, descriptor, 0, 0, BLOCK + 1)
    else:
        with opened("file", os.O_RDWR) as descriptor:
            fails(errno.EFBIG, fallocate, descriptor, 0, (1 << 63) - 10, 100)
    equal(size(), 4, "size")


@case("fallocate/ENOSPC-keeps-data/regular", alone=True)
def no_space():
    """How much was allocated, and with it the size, is up to the filesystem."""
    status = os.statvfs(".")
    write("file", b"head")
    with opened("file", os.O_RDWR) as descriptor:
        fails((errno.ENOSPC, errno.EFBIG), fallocate, descriptor, 0, 0,
              status.f_blocks * status.f_frsize + (1 << 30))
    os.truncate("file", min(size(), 8))
    equal(read("file")[:4], b"head", "contents")
    equal(read("file").strip(b"\0"), b"head", "contents")


@full_case("fallocate/ENOSPC/regular", prepare=lambda: make("regular", "reserve"))
def full(number):
    with opened("reserve", os.O_RDWR) as descriptor:
        fallocate(descriptor, 0, number * BLOCK, BLOCK)


@case("fallocate/{mode}-clears-setid/regular", root=True, mode=("allocate", "punch", "zero"))
def clears(mode):
    write("file", PATTERN)
    ALICE.owns("file", 0o777)
    apply(mode, 0, 2 * len(PATTERN))
    ALICE.owns("file", 0o6777)
    BOB.does(apply, mode, 0, 3 * len(PATTERN))
    mode_is("file", 0o777)
