# SPDX-License-Identifier: BSD-3-Clause
"""mkfifo and mkfifoat, and that a FIFO is one."""

import errno
import os
import select

from .framework import libc
from .framework.apart import ANOTHER
from .framework.at_rules import AtCall, at_rules, opened
from .framework.checks import absent, changes, check, equal, fails, keeps
from .framework.creation import Creation, creation_rules
from .framework.enospc import full_case
from .framework.paths import PathCall, path_rules
from .framework.registry import case

path_rules(PathCall("mkfifo", lambda path: os.mkfifo(path, 0o644), target=None, follows=False,
                    raw=lambda pointer: libc.call("mkfifo", pointer, 0o644), parent=True,
                    kind="fifo"))
at_rules(AtCall("mkfifo", lambda descriptor, path: libc.call("mkfifoat", descriptor, path, 0o644),
                target=None))
creation_rules(Creation("mkfifo", os.mkfifo, kind="fifo"))


@full_case("mkfifo/ENOSPC/fifo")
def no_space(number):
    os.mkfifo(f"fifo{number}")


@case("mkfifo/ENOENT-name-with-slash/fifo")
def name_with_slash():
    fails(errno.ENOENT, os.mkfifo, "fifo/")
    absent("fifo")


@case("mkfifo/carries-bytes-between-processes/fifo")
def carries():
    os.mkfifo("fifo")
    with opened("fifo", os.O_RDWR) as descriptor:
        ANOTHER.does(lambda: os.write(os.open("fifo", os.O_WRONLY), b"across"))
        equal(os.read(descriptor, 99), b"across", "what came through")


@case("mkfifo/is-one-pipe-by-every-name/fifo")
def two_names():
    os.mkfifo("fifo")
    os.link("fifo", "second")
    with opened("fifo", os.O_RDWR) as first, opened("second", os.O_RDWR) as second:
        os.write(first, b"once")
        equal(os.read(second, 99), b"once", "what came through")


@case("mkfifo/end-of-file-without-writers/fifo")
def end_of_file():
    os.mkfifo("fifo")
    with opened("fifo", os.O_RDONLY | os.O_NONBLOCK) as reader:
        equal(os.read(reader, 1), b"", "read without a writer")
        with opened("fifo", os.O_WRONLY) as writer:
            fails(errno.EAGAIN, os.read, reader, 1)
            os.write(writer, b"x")
            check(select.select([reader], [], [], 1)[0], "not readable")


@case("mkfifo/ESPIPE/fifo")
def no_offsets():
    os.mkfifo("fifo")
    with opened("fifo", os.O_RDWR) as descriptor:
        fails(errno.ESPIPE, os.lseek, descriptor, 0, os.SEEK_SET)
        fails(errno.ESPIPE, os.pread, descriptor, 1, 0)
        fails((errno.EINVAL, errno.ESPIPE), os.ftruncate, descriptor, 0)


@case("mkfifo/size-stays-zero/fifo")
def no_size():
    os.mkfifo("fifo")
    with opened("fifo", os.O_RDWR) as descriptor, keeps("fifo", "size", "blocks"):
        os.write(descriptor, b"x" * 1000)


@case("mkfifo/ctime-follows-chmod/fifo")
def ctime():
    os.mkfifo("fifo")
    with changes("fifo", "ctime"):
        os.chmod("fifo", 0o600)
