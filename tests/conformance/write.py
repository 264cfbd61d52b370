# SPDX-License-Identifier: BSD-3-Clause
"""read and write with their p and v forms: offsets, holes, times, limits, set-id bits."""

import ctypes
import errno
import mmap
import os

from .framework import libc
from .framework.apart import ALICE, ANOTHER, BOB, Limited
from .framework.at_rules import opened
from .framework.checks import Skip, changes, check, close_to_now, equal, fails, keeps, mode_is
from .framework.enospc import fill, full_case, small_filesystem
from .framework.files import make, read, write
from .framework.registry import case
from .framework.sizes import PATTERN

BLOCK = 4096
FAR = ((1 << 31) - 2, (1 << 31) + 5, (1 << 32) - 3, (1 << 32) + 7, 1 << 40)
OFFSETS = (0, 1, 100, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK - 10)
LENGTHS = (1, 511, BLOCK, BLOCK + 1, 2 * BLOCK)


@full_case("write/ENOSPC/regular")
def no_space(number):
    descriptor = os.open("grows", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
    try:
        equal(os.write(descriptor, bytes([number % 256]) * BLOCK), BLOCK, "bytes written")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@case("write/short-if-there-is-no-room-for-all/regular")
def short():
    with small_filesystem():
        fill()
        with opened("ballast", os.O_RDWR) as ballast:
            os.ftruncate(ballast, os.fstat(ballast).st_size - 300_000)
            os.fsync(ballast)  # ext4 frees at the next commit
        with opened("file", os.O_CREAT | os.O_RDWR) as descriptor:
            data = PATTERN * (1_000_000 // len(PATTERN) + 1)
            try:
                count = os.write(descriptor, data)
            except OSError as error:
                if error.errno == errno.ENOSPC and os.write(descriptor, data[:BLOCK]) == BLOCK:
                    raise Skip("a write is done whole or not at all") from error
                raise
            check(0 < count < len(data), f"{count} of {len(data)} bytes written")
            equal(os.fstat(descriptor).st_size, count, "size")
        check(read("file") == data[:count], "contents")


@case("write/over-{length}-bytes/regular", length=LENGTHS)
def over(length):
    for offset in OFFSETS:
        write("file", PATTERN)
        with opened("file", os.O_RDWR) as descriptor:
            equal(os.pwrite(descriptor, b"#" * length, offset), length, "bytes written")
        expected = PATTERN[:offset] + b"#" * length + PATTERN[offset + length:]
        check(read("file") == expected, f"contents after {length} bytes at {offset}")


@case("write/hole-before-reads-zero-{offset}/regular", offset=(1, BLOCK - 1, BLOCK, 100_000))
def hole(offset):
    make("regular", "file")
    with opened("file", os.O_RDWR) as descriptor:
        os.pwrite(descriptor, b"data", offset)
    equal(read("file"), bytes(offset) + b"data", "contents")


@case("write/beyond-a-cut-reads-zero/regular")
def after_cut():
    """What was there before the file was cut does not come back when it is written further on."""
    write("file", PATTERN)
    os.truncate("file", 10)
    with opened("file", os.O_RDWR) as descriptor:
        os.pwrite(descriptor, b"data", 9000)
    check(read("file") == PATTERN[:10] + bytes(8990) + b"data", "contents are wrong")


@case("write/far-{offset}/regular", offset=FAR)
def far(offset):
    make("regular", "file")
    with opened("file", os.O_RDWR) as descriptor:
        try:
            equal(os.pwrite(descriptor, PATTERN[:20], offset), 20, "bytes written")
        except OSError as error:
            equal(error.errno, errno.EFBIG, "errno")
            raise Skip(f"no file here may have {offset} bytes") from None
        equal(os.pread(descriptor, 30, offset), PATTERN[:20], "contents")
        equal(os.pread(descriptor, 10, offset - 5), bytes(5) + PATTERN[:5], "contents")
        equal(os.fstat(descriptor).st_size, offset + 20, "size")


@case("write/read-ends-at-the-size/regular")
def short_read():
    write("file", PATTERN[:10])
    with opened("file", os.O_RDONLY) as descriptor:
        equal(os.pread(descriptor, 100, 4), PATTERN[4:10], "contents")
        for offset in (10, 11, 1 << 40):
            equal(os.pread(descriptor, 100, offset), b"", f"contents at {offset}")


@case("write/moves-the-offset/regular")
def moves():
    with open("file", "w+b", buffering=0) as file:
        file.write(b"12345")
        equal(file.tell(), 5, "offset")
        os.pwrite(file.fileno(), b"x" * 50, 100)
        os.pread(file.fileno(), 10, 0)
        equal(file.tell(), 5, "offset after pwrite and pread")


@case("write/vectors/regular")
def vectors():
    make("regular", "file")
    parts = [b"a" * 10, b"", b"b" * 5000, b"c"]
    with opened("file", os.O_RDWR) as descriptor:
        equal(os.writev(descriptor, parts), 5011, "bytes written")
        equal(os.pwritev(descriptor, [b"X", b"Y"], 3), 2, "bytes written")
        expected = bytearray(b"".join(parts))
        expected[3:5] = b"XY"
        buffers = [bytearray(7), bytearray(5004)]
        equal(os.preadv(descriptor, buffers, 0), 5011, "bytes read")
    check(b"".join(buffers) == expected, "contents are wrong")


@case("write/large/regular")
def large():
    """Larger than any one request to a server in user space."""
    data = os.urandom(1 << 20) * 9 + b"tail"
    make("regular", "file")
    with opened("file", os.O_RDWR) as descriptor:
        equal(os.write(descriptor, data), len(data), "bytes written")
        check(os.pread(descriptor, len(data) + 1, 0) == data, "contents are wrong")
    check(read("file") == data, "contents are wrong")


@case("write/updates-mtime-and-ctime/regular")
def times():
    write("file", PATTERN)
    with opened("file", os.O_RDWR) as descriptor:
        for offset in (0, 1 << 20):
            with changes("file", "mtime", "ctime"), keeps("file", "atime"):
                os.pwrite(descriptor, b"x", offset)
    close_to_now(os.stat("file").st_mtime_ns, "mtime")


@case("write/nothing-changes-nothing/regular")
def nothing():
    write("file", PATTERN)
    with opened("file", os.O_RDWR) as descriptor, keeps("file", "mtime", "ctime", "size"):
        equal(os.write(descriptor, b""), 0, "bytes written")
        equal(os.pwrite(descriptor, b"", 1 << 30), 0, "bytes written")


@case("write/read-updates-atime/regular")
def atime():
    """Also under relatime: it is older than the last change."""
    write("file", PATTERN)
    if os.statvfs("file").f_flag & os.ST_NOATIME:
        raise Skip("mounted noatime")
    with opened("file", os.O_RDONLY) as descriptor:
        os.fsync(descriptor)
        os.utime("file", ns=(0, os.stat("file").st_mtime_ns))
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)  # past the page cache
        with keeps("file", "mtime"):
            os.read(descriptor, 100)
    close_to_now(os.stat("file").st_atime_ns, "atime")


@case("write/O_NOATIME-read-keeps-times/regular")
def read_keeps():
    """Nor does the open that comes before it."""
    write("file", PATTERN)
    with opened("file", os.O_RDWR) as descriptor:
        os.fsync(descriptor)
        os.utime("file", ns=(0, os.stat("file").st_mtime_ns))
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)  # past the page cache
    with keeps("file", "mtime", "ctime", "atime"), \
            opened("file", os.O_RDONLY | os.O_NOATIME) as descriptor:
        os.read(descriptor, 100)


@case("write/{who}-clears-setid/regular", root=True, who=("other-user", "owner"))
def clears(who):
    write("file", PATTERN)
    ALICE.owns("file", 0o6777)

    def steps():
        with opened("file", os.O_WRONLY) as descriptor:
            os.write(descriptor, b"x")
    (BOB if who == "other-user" else ALICE).runs(steps)
    mode_is("file", 0o777)


@case("write/root-keeps-setid/regular", root=True)
def root_keeps():
    write("file", PATTERN)
    ALICE.owns("file", 0o6777)
    with opened("file", os.O_WRONLY) as descriptor:
        os.write(descriptor, b"x")
    mode_is("file", 0o6777)


@case("write/keeps-setgid-without-group-execute/regular", root=True)
def mandatory_lock_bit():
    write("file", PATTERN)
    ALICE.owns("file", 0o2767)

    def steps():
        with opened("file", os.O_WRONLY) as descriptor:
            os.write(descriptor, b"x")
    ALICE.runs(steps)
    mode_is("file", 0o2767)


@case("write/others-clear-setgid-without-group-execute/regular", root=True)
def not_of_the_group():
    write("file", PATTERN)
    ALICE.owns("file", 0o2767)

    def steps():
        with opened("file", os.O_WRONLY) as descriptor:
            os.write(descriptor, b"x")
    BOB.runs(steps)
    mode_is("file", 0o767)


@case("write/EFBIG-limit/regular")
def limit():
    make("regular", "file")
    with opened("file", os.O_RDWR) as descriptor:
        equal(Limited(1000).does(os.pwrite, descriptor, b"x" * 100, 950), 50, "bytes written")
        Limited(1000).fails(errno.EFBIG, os.pwrite, descriptor, b"x", 1000)
    equal(os.stat("file").st_size, 1000, "size")


@case("write/EINVAL-{what}/regular", what=("negative-offset", "overflow"))
def invalid(what):
    write("file", PATTERN)
    offset = -1 if what == "negative-offset" else (1 << 63) - 1
    with opened("file", os.O_RDWR) as descriptor, keeps("file", "size", "mtime"):
        expected = errno.EINVAL if what == "negative-offset" else (errno.EINVAL, errno.EFBIG,
                                                                    errno.EOVERFLOW)
        fails(expected, os.pwrite, descriptor, b"xx", offset)


@case("write/EFAULT-{what}/regular", what=("write", "read"))
def bad_buffer(what):
    write("file", PATTERN)
    with opened("file", os.O_RDWR) as descriptor:
        fails(errno.EFAULT, libc.call, what, descriptor, libc.BAD_POINTER, 100)
    check(read("file") == PATTERN, "contents changed")


@case("write/half-a-bad-buffer/regular")
def half_bad():
    """Either nothing is written, or what could be read; nothing else gets into the file."""
    write("file", b"#" * 20000)
    area = mmap.mmap(-1, 2 * mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area[:mmap.PAGESIZE] = b"x" * mmap.PAGESIZE
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    libc.call("mprotect", address + mmap.PAGESIZE, mmap.PAGESIZE, 0)
    with opened("file", os.O_RDWR) as descriptor:
        try:
            count = libc.call("write", descriptor, address, 2 * mmap.PAGESIZE)
        except OSError as error:
            equal(error.errno, errno.EFAULT, "errno")
            count = 0
    check(count <= mmap.PAGESIZE, f"{count} bytes written")
    expected = b"x" * count + b"#" * (20000 - count)
    check(read("file") == expected, "something else was written")


@case("write/seen-by-another-process-at-once/regular")
def seen():
    make("regular", "file")
    with opened("file", os.O_RDWR) as descriptor:
        for number in range(5):
            os.pwrite(descriptor, str(number).encode(), 0)
            equal(ANOTHER.does(read, "file"), str(number).encode(), "contents")


@case("write/two-writers-keep-to-their-halves/regular")
def two_writers():
    make("regular", "file")
    os.truncate("file", 2 * 50 * 1000)

    def part(start, letter):
        with opened("file", os.O_WRONLY) as descriptor:
            for number in range(50):
                os.pwrite(descriptor, letter * 1000, start + number * 2000)
    pid = os.fork()
    if pid == 0:
        part(1000, b"b")
        os._exit(0)
    part(0, b"a")
    os.waitpid(pid, 0)
    check(read("file") == (b"a" * 1000 + b"b" * 1000) * 50, "contents are wrong")
