# SPDX-License-Identifier: BSD-3-Clause
"""What the tests put on a volume, through a mount: each function fills a folder of its name."""

import contextlib
import os
import pathlib
import random
import socket
import stat
import subprocess

from shown import MIB, windows
from syscalls import KEEP_SIZE, RENAME_EXCHANGE, fallocate, punch, rename2

BLOCK = 4096
LONG_AGO, LATER = -2000000000123456789, 5000000000987654321  # 1906 and 2128


def run(*command):
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def names(folder):
    odd = ["é ü 漢字 😀".encode(), b"a" * 255, "ä".encode() * 127 + b"x", b"not utf-8 \xff\xfe",
           b"line\nfeed \t\x01", b" ", b"-rf", b"...", b"a\\b\"c'd*"]
    for name in odd:
        pathlib.Path(folder, os.fsdecode(name)).write_bytes(name)


def many(folder):
    """More than 1000 entries, after renaming and removing some."""
    for number in range(1800):
        path = folder / f"entry-{number:05d}"
        if number % 50 == 0:
            path.mkdir()
        else:
            path.write_bytes(b"%d" % number * (number % 40))
    for number in range(0, 1800, 7):
        path = folder / f"entry-{number:05d}"
        path.rmdir() if path.is_dir() else path.unlink()
    for number in range(1, 1800, 11):
        path = folder / f"entry-{number:05d}"
        if path.exists():
            path.rename(folder / f"renamed-{number}")


def contents(folder):
    generator = random.Random(1)
    for size in (0, 1, 4095, 4096, 4097, 100000, 5 * MIB + 17):
        (folder / f"size-{size}").write_bytes(generator.randbytes(size))
    with open(folder / "sparse", "wb") as file:
        for start, _ in windows(1 << 40)[::3]:
            os.pwrite(file.fileno(), generator.randbytes(5000), start + 100)
        os.truncate(file.fileno(), 1 << 40)
    with open(folder / "preallocated", "wb") as file:
        fallocate(file.fileno(), 0, 0, 300000)
        os.pwrite(file.fileno(), b"written" * 1000, 50000)
    with open(folder / "beyond-the-end", "wb") as file:
        file.write(b"short")
        fallocate(file.fileno(), KEEP_SIZE, 0, MIB)
    with open(folder / "frag-a", "wb") as one, open(folder / "frag-b", "wb") as two:
        for number in range(2 * 300):
            os.pwrite((one, two)[number % 2].fileno(), generator.randbytes(BLOCK), number * BLOCK)
    with open(folder / "large", "wb") as file:
        file.write(generator.randbytes(12 * MIB))
        for number in range(400):
            punch(file.fileno(), number * 7 * BLOCK, 2 * BLOCK)
        for number in range(0, 400, 3):
            os.pwrite(file.fileno(), b"again" * 500, number * 7 * BLOCK + 4000)
    os.truncate(folder / "frag-b", 600 * 1024 + 5)
    with open(folder / "grown", "wb") as file:  # what was cut off must not come back
        file.write(b"x" * 10000)
        os.truncate(file.fileno(), 5000)
        os.truncate(file.fileno(), 20000)


def links(folder):
    (folder / "file").write_bytes(b"linked")
    for number in range(5):
        os.link(folder / "file", folder / f"link-{number}")
    for length in (1, 40, 1024, 1025, 4095):
        os.symlink("t" * length, folder / f"symlink-{length}")
    os.symlink("../ä".encode(), os.fsencode(folder / "symlink-utf-8"))


def attributes(folder):
    path = folder / "file"
    path.write_bytes(b"")
    for length in (0, 1, 1024, 1025, 4096, 4097, 20000, 65536):
        os.setxattr(path, f"user.of-{length}", random.Random(length).randbytes(length))
    os.setxattr(path, b"user." + "ä".encode() * 125, b"long name")
    for number in range(200):
        os.setxattr(folder, f"user.number-{number}", b"%d" % number)
    for number in range(0, 200, 3):
        os.removexattr(folder, f"user.number-{number}")
    os.setxattr(path, "user.of-20000", b"now short")
    os.symlink("target", folder / "symlink")
    if os.geteuid() == 0:
        os.setxattr(folder / "symlink", "trusted.of-a-link", b"t" * 3000, follow_symlinks=False)
        os.setxattr(path, "security.daxpin", b"\0\1\2")


def special(folder):
    os.mkfifo(folder / "fifo", 0o640)
    with socket.socket(socket.AF_UNIX) as unix, contextlib.chdir(folder):
        unix.bind("socket")
    if os.geteuid() == 0:
        os.mknod(folder / "character", stat.S_IFCHR | 0o600, os.makedev(4095, 1048575))
        os.mknod(folder / "block", stat.S_IFBLK | 0o660, os.makedev(259, 77777))
        (folder / "owned").write_bytes(b"")
        os.chown(folder / "owned", 4000000000, 65537)
    (folder / "setuid").write_bytes(b"")
    (folder / "setuid").chmod(0o6751)
    (folder / "sticky").mkdir()
    (folder / "sticky").chmod(0o1777)


def times(folder):
    for name, moments in (("past", (LONG_AGO, LONG_AGO + 1)), ("future", (LATER, LATER - 1)),
                          ("epoch", (0, -1))):
        (folder / name).write_bytes(b"")
        os.utime(folder / name, ns=moments)


def depths(folder):
    below = folder
    for number in range(40):
        below /= f"level-{number}"
        below.mkdir()
    (below / "deep").write_bytes(b"deep")
    (folder / "moved").mkdir()
    (folder / "level-0" / "level-1").rename(folder / "moved" / "here")
    (folder / "gone" / "too").mkdir(parents=True)
    (folder / "gone" / "too").rmdir()
    (folder / "gone").rmdir()
    (folder / "x").write_bytes(b"was x")
    (folder / "y").mkdir()
    rename2(folder / "x", folder / "y", RENAME_EXCHANGE)


def pins(folder, daxpin):
    for name, arguments in (("whole", ()), ("part", ("--offset", "8192", "--length", "12288"))):
        (folder / name).write_bytes(b"pinned" * 10000)
        run(daxpin, "pin", "-q", *arguments, folder / name)
    (folder / "hinted").write_bytes(b"")
    run(daxpin, "hint", "--dax", "--align", "65536", folder / "hinted")


MAKERS = (names, many, contents, links, attributes, special, times, depths)
