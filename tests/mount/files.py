# SPDX-License-Identifier: BSD-3-Clause
"""Files for the tests of pins and leases."""

import contextlib
import mmap
import os
import subprocess

import pinning
from harness import Skip
from pinning import BLOCK, open_direct

SIZE = 64 * BLOCK


@contextlib.contextmanager
def opened(path, flags=os.O_RDWR):
    fd = open_direct(path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


def make_file(folder, name="file", size=SIZE):
    path = folder / name
    with opened(path, os.O_RDWR | os.O_CREAT) as fd:
        if size:
            memory = mmap.mmap(-1, size)  # aligned, as direct I/O may ask
            memory[:] = bytes(range(256)) * (size // 256)
            os.pwrite(fd, memory, 0)
    return path


def make_pinned(folder, name="file", **arguments):
    path = make_file(folder, name)
    with opened(path) as fd:
        pinning.pin(fd, **arguments)
    return path


def is_pinned(path):
    with opened(path, os.O_RDONLY) as fd:
        return bool(pinning.status(fd).flags & pinning.STATUS_PINNED)


@contextlib.contextmanager
def changed_flag(letter, *paths):
    try:
        done = subprocess.run(["chattr", "+" + letter, *map(str, paths)], stderr=subprocess.PIPE,
                              text=True, check=False)
        if done.returncode != 0:
            raise Skip(f"chattr: {done.stderr.strip()}")
        yield
    finally:
        subprocess.run(["chattr", "-" + letter, *map(str, paths)], stderr=subprocess.DEVNULL,
                       check=False)
