# SPDX-License-Identifier: BSD-3-Clause
"""The rules truncate and ftruncate share."""

import errno
import os
from dataclasses import dataclass
from typing import Callable

from . import files
from .apart import ALICE, Limited, User
from .checks import Skip, changes, check, equal, fails, keeps, mode_is
from .registry import add

BLOCK = 4096
EDGES = (0, 1, 511, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK - 1, 3 * BLOCK)
BIG = ((1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, 1 << 40)
PATTERN = bytes(range(1, 252)) * 50   # without zeros, longer than three blocks


@dataclass(frozen=True)
class Resize:
    name: str
    resize: Callable   # resize(path, length)


def size_rules(call):
    def register(rule, function, root=False, **options):
        add(f"{call.name}/{rule}/regular", lambda: function(call, **options), root=root)

    for length in EDGES:
        register(f"shrinks-to-{length}", shrinks, length=length)
        register(f"grows-from-{length}", grows, length=length)
    for length in BIG:
        register(f"grows-to-{length}", big, length=length)
    register("cut-tail-reads-zero-when-grown", regrown)
    register("changes-times", times)
    register("keeps-mode-and-owner", keeps_others)
    register("same-size-keeps-contents", same_size)
    register("frees-blocks", frees)
    register("growing-takes-no-blocks", sparse)
    register("EINVAL-negative", negative)
    register("EFBIG-limit", limit)
    register("EFBIG-beyond-largest", too_big)
    register("clears-setid", clears, root=True)
    register("root-keeps-setid", root_keeps, root=True)
    register("open-descriptors-see-it", descriptors)
    register("file-offset-stays", offset_stays)


def shrinks(call, length):
    files.write("file", PATTERN)
    call.resize("file", length)
    equal(os.stat("file").st_size, length, "size")
    check(files.read("file") == PATTERN[:length], "contents changed")


def grows(call, length):
    files.write("file", PATTERN[:length])
    call.resize("file", length + 2 * BLOCK + 17)
    equal(os.stat("file").st_size, length + 2 * BLOCK + 17, "size")
    check(files.read("file") == PATTERN[:length] + bytes(2 * BLOCK + 17), "contents are wrong")


def big(call, length):
    files.write("file", b"head")
    try:
        call.resize("file", length)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise Skip(f"no file here may have {length} bytes") from None
        raise
    equal(os.stat("file").st_size, length, "size")
    with open("file", "rb") as file:
        equal(file.read(8), b"head" + bytes(4), "head")
        equal(os.pread(file.fileno(), 100, length - 10), bytes(10), "tail")
        equal(os.pread(file.fileno(), 100, length), b"", "what is beyond the end")
    call.resize("file", 4)
    equal(files.read("file"), b"head", "contents")


def regrown(call):
    for cut in (1, BLOCK - 1, BLOCK, BLOCK + 1):
        files.write("file", PATTERN)
        call.resize("file", cut)
        call.resize("file", len(PATTERN))
        check(files.read("file") == PATTERN[:cut] + bytes(len(PATTERN) - cut),
              f"old bytes came back after a cut to {cut}")


def times(call):
    for length in (100, 10000):
        files.write("file", PATTERN[:BLOCK])
        with changes("file", "mtime", "ctime"), keeps("file", "atime"):
            call.resize("file", length)


def keeps_others(call):
    files.write("file", PATTERN)
    os.chmod("file", 0o641)
    with keeps("file", "mode", "uid", "gid", "nlink", "ino"):
        call.resize("file", 5)
    equal(os.stat("file").st_size, 5, "size")


def same_size(call):
    files.write("file", PATTERN)
    call.resize("file", len(PATTERN))
    check(files.read("file") == PATTERN, "contents changed")


def frees(call):
    files.write("file", bytes(1) * (1 << 20))
    os.sync()
    call.resize("file", 0)
    equal(os.stat("file").st_blocks, 0, "blocks")


def sparse(call):
    files.write("file", b"x")
    call.resize("file", 64 << 20)
    equal(os.stat("file").st_size, 64 << 20, "size")
    check(os.stat("file").st_blocks * 512 < 8 << 20,
          f"64 MiB that were never written take {os.stat('file').st_blocks} blocks")


def negative(call):
    files.write("file", PATTERN)
    with keeps("file", "size", "mtime"):
        fails(errno.EINVAL, call.resize, "file", -1)
        fails(errno.EINVAL, call.resize, "file", -(1 << 63))


def limit(call):
    files.write("file", PATTERN[:100])
    with keeps("file", "size"):
        Limited(BLOCK).fails(errno.EFBIG, call.resize, "file", BLOCK + 1)
    Limited(BLOCK).succeeds(call.resize, "file", BLOCK)


def too_big(call):
    files.write("file", PATTERN[:100])
    try:
        call.resize("file", (1 << 63) - 1)
    except OSError as error:
        check(error.errno in (errno.EFBIG, errno.EINVAL), f"{error}, expected EFBIG")
        equal(os.stat("file").st_size, 100, "size")
        return
    raise Skip("a file may be as large as an offset can say")


def clears(call):
    """A user who is not the owner but may write."""
    bob = User("bob", 64102, 64202)
    for length in (10, 20000):
        files.write("file", PATTERN)
        ALICE.owns("file", 0o6777)
        bob.does(call.resize, "file", length)
        mode_is("file", 0o777)


def root_keeps(call):
    files.write("file", PATTERN)
    os.chmod("file", 0o6777)
    call.resize("file", 10)
    equal(os.stat("file").st_size, 10, "size")
    mode_is("file", 0o6777)


def descriptors(call):
    files.write("file", PATTERN)
    with open("file", "r+b", buffering=0) as file:
        equal(file.read(4), PATTERN[:4], "before")
        call.resize("file", 2)
        equal(file.read(4), b"", "read beyond the new end")
        equal(os.fstat(file.fileno()).st_size, 2, "size")
        call.resize("file", 8)
        equal(os.pread(file.fileno(), 99, 0), PATTERN[:2] + bytes(6), "contents")


def offset_stays(call):
    files.write("file", PATTERN[:100])
    with open("file", "r+b", buffering=0) as file:
        file.seek(50)
        call.resize("file", 10)
        equal(file.tell(), 50, "offset")
        file.write(b"x")
    equal(files.read("file"), PATTERN[:10] + bytes(40) + b"x", "contents")
