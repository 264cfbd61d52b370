# SPDX-License-Identifier: BSD-3-Clause
"""Files for the tests of pins and leases."""

import contextlib
import mmap
import os
import subprocess

import pinning
from harness import Skip
from pinning import BLOCK, LEASE_WRITE, open_direct

UNIT = int(os.environ.get("DAXPIN_TEST_PAGE", BLOCK))  # of the device's mappings, in bytes
SIZE = max(64 * BLOCK, 8 * UNIT)


@contextlib.contextmanager
def opened(path, flags=os.O_RDWR):
    fd = open_direct(path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def leased(path, access=LEASE_WRITE, offset=0, length=0):
    """(descriptor, lease id)"""
    with opened(path, os.O_RDWR if access == LEASE_WRITE else os.O_RDONLY) as fd:
        yield fd, pinning.lease(fd, access, offset, length)[0]


def free_blocks(volume):
    return os.statvfs(volume.mountpoint).f_bfree


def align(path):
    """Moves a file to extents that the device's mappings can show, if any block will not do."""
    if UNIT > BLOCK:
        with opened(path) as fd:
            pinning.pin(fd, flags=pinning.PREPARE)
            pinning.unpin(fd)


def make_file(folder, name="file", size=SIZE):
    path = folder / name
    with opened(path, os.O_RDWR | os.O_CREAT) as fd:
        if size:
            memory = mmap.mmap(-1, size)  # aligned, as direct I/O may ask
            memory[:] = bytes(range(256)) * (size // 256)
            os.pwrite(fd, memory, 0)
    if size:
        align(path)
    return path


def make_pinned(folder, name="file", **arguments):
    path = make_file(folder, name)
    with opened(path) as fd:
        pinning.pin(fd, **arguments)
    return path


@contextlib.contextmanager
def mapped_device(path, offset, length):
    """The device's memory from offset on, as a client maps it."""
    start = offset - offset % UNIT
    whole = -(-(offset + length - start) // UNIT) * UNIT
    fd = os.open(path, os.O_RDWR)
    try:
        with mmap.mmap(fd, whole, offset=start) as memory, memoryview(memory) as view, \
                view[offset - start:offset - start + length] as part:
            yield part
    finally:
        os.close(fd)


def store(path, offset, data):
    with mapped_device(path, offset, len(data)) as memory:
        memory[:] = data


def load(path, offset, length):
    with mapped_device(path, offset, length) as memory:
        return bytes(memory)


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
