#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""chattr and lsattr through the mount: what +i, +a, +d and +x mean."""

import errno
import fcntl
import mmap
import os
import struct
import sys

from asking import USER
from harness import case, expect, expect_equal, expect_errno, require_program, require_root, \
    run, run_command
from syscalls import as_user

FS_IOC_SETFLAGS = 0x40086602
FS_IMMUTABLE_FL, FS_APPEND_FL = 0x10, 0x20


def letters(path):
    return set(run_command("lsattr", "-d", path).split()[0]) - {"-"}


@case("chattr: i, a, d and x are stored, shown and taken away")
def flags_round_trip(_, folder):
    require_root("CAP_LINUX_IMMUTABLE")
    require_program("chattr")
    path = folder / "file"
    path.touch()
    for letter in "iadx":
        run_command("chattr", "+" + letter, path)
        expect(letter in letters(path), f"lsattr shows {letters(path)} after +{letter}")
        run_command("chattr", "-" + letter, path)
        expect(letter not in letters(path), f"lsattr shows {letters(path)} after -{letter}")


@case("+i: no write, name, attribute or deletion; reading goes on")
def immutable(_, folder):
    require_root("CAP_LINUX_IMMUTABLE")
    path = folder / "file"
    path.write_bytes(b"fixed")
    run_command("chattr", "+i", path)
    try:
        expect_equal(path.read_bytes(), b"fixed")
        for change in (lambda: path.write_bytes(b"x"), lambda: os.truncate(path, 0),
                       lambda: os.unlink(path), lambda: os.rename(path, folder / "b"),
                       lambda: os.link(path, folder / "b"), lambda: os.chmod(path, 0o777),
                       lambda: os.utime(path, ns=(1, 1)), lambda: os.setxattr(path, "user.x", b"")):
            with expect_errno(errno.EPERM):
                change()
    finally:
        run_command("chattr", "-i", path)
    os.unlink(path)


@case("+i on a directory: its names are frozen")
def immutable_directory(_, folder):
    require_root("CAP_LINUX_IMMUTABLE")
    inner = folder / "dir"
    inner.mkdir()
    (inner / "file").write_bytes(b"1")
    run_command("chattr", "+i", inner)
    try:
        for change in (lambda: (inner / "new").touch(), lambda: os.unlink(inner / "file"),
                       lambda: os.rename(inner / "file", folder / "out"),
                       lambda: os.mkdir(inner / "d")):
            with expect_errno(errno.EPERM):
                change()
        (inner / "file").write_bytes(b"22")
    finally:
        run_command("chattr", "-i", inner)


@case("+a: appends, and nothing else")
def append_only(_, folder):
    require_root("CAP_LINUX_IMMUTABLE")
    path = folder / "log"
    path.write_bytes(b"1")
    run_command("chattr", "+a", path)
    try:
        with open(path, "ab") as file:
            file.write(b"2")
        for change in (lambda: open(path, "r+b").close(), lambda: os.truncate(path, 0),
                       lambda: os.unlink(path), lambda: os.rename(path, folder / "b")):
            with expect_errno(errno.EPERM):
                change()
    finally:
        run_command("chattr", "-a", path)
    expect_equal(path.read_bytes(), b"12")


@case("+i and +a: what was stored through a mapping before is kept")
def stored_before(_, folder):
    require_root("CAP_LINUX_IMMUTABLE")
    for letter, flag in (("i", FS_IMMUTABLE_FL), ("a", FS_APPEND_FL)):
        path = folder / letter
        path.write_bytes(bytes(8192))
        with open(path, "r+b") as file, mmap.mmap(file.fileno(), 8192) as memory:
            try:
                # At once, or the kernel has written the page back by itself.
                memory[5000] = 0x78
                fcntl.ioctl(file, FS_IOC_SETFLAGS, struct.pack("i", flag))
                expect_equal(read_direct(path)[5000], 0x78, f"byte on the medium after +{letter}")
            finally:
                run_command("chattr", "-" + letter, path)


def read_direct(path):
    """Past the page cache."""
    data = mmap.mmap(-1, 8192)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        os.preadv(fd, [data], 0)
    finally:
        os.close(fd)
    return data


@case("+a: no shared mapping for writing, which could change what is there")
def append_only_mapping(_, folder):
    require_root("CAP_LINUX_IMMUTABLE")
    path = folder / "log"
    path.write_bytes(bytes(4096))
    run_command("chattr", "+a", path)
    try:
        fd = os.open(path, os.O_RDWR | os.O_APPEND)
        try:
            with expect_errno(errno.ENODEV):
                mmap.mmap(fd, 4096)
            os.write(fd, b"tail")
        finally:
            os.close(fd)
        with open(path, "rb") as reader, mmap.mmap(reader.fileno(), 0,
                                                   prot=mmap.PROT_READ) as memory:
            expect_equal(memory[4096:], b"tail", "what a reader maps")
    finally:
        run_command("chattr", "-a", path)


@case("+a: who appends takes set-id bits away, in cached and in direct mode")
def append_takes_set_id(_, folder):
    require_root("CAP_LINUX_IMMUTABLE")
    for extra in (0, os.O_DIRECT):
        path = folder / f"program-{extra}"
        path.write_bytes(bytes(4096))
        os.chmod(path, 0o6777)
        run_command("chattr", "+a", path)
        try:
            flags = os.O_WRONLY | os.O_APPEND | extra
            data = mmap.mmap(-1, 4096)  # aligned, as direct I/O may ask
            expect_equal(as_user(USER, lambda: os.write(os.open(path, flags), data)), 0, "errno")
            expect_equal(oct(path.stat().st_mode & 0o7777), oct(0o777), "mode")
            expect_equal(path.stat().st_size, 8192, "size")
            with expect_errno(errno.EPERM):
                os.chmod(path, 0o755)
        finally:
            run_command("chattr", "-a", path)


@case("+a: a refused O_TRUNC leaves a program's set-id bits")
def refused_truncation(_, folder):
    require_root("CAP_LINUX_IMMUTABLE")
    path = folder / "program"
    path.write_bytes(b"1")
    os.chmod(path, 0o4777)
    run_command("chattr", "+a", path)
    try:
        before = path.stat()
        expect_equal(as_user(USER, lambda: os.open(path, os.O_WRONLY | os.O_TRUNC)), errno.EPERM)
        after = path.stat()
        expect_equal((after.st_mode, after.st_ctime_ns), (before.st_mode, before.st_ctime_ns))
    finally:
        run_command("chattr", "-a", path)


@case("+x: inherited from the directory, and a shared mapping works as before")
def dax_hint(_, folder):
    require_program("chattr")
    run_command("chattr", "+x", folder)
    (folder / "file").write_bytes(bytes(4096))
    (folder / "dir").mkdir()
    expect("x" in letters(folder / "file"), "a new file did not inherit the hint")
    expect("x" in letters(folder / "dir"), "a new directory did not inherit the hint")
    with open(folder / "file", "r+b") as file, mmap.mmap(file.fileno(), 4096) as memory:
        memory[0:5] = b"hello"
    expect_equal((folder / "file").read_bytes()[:5], b"hello")


if __name__ == "__main__":
    sys.exit(run())
