# SPDX-License-Identifier: BSD-3-Clause
"""ENOSPC: the directory of --full-dir is filled with data, then the call is repeated until it
fails. That must happen, with ENOSPC; and once something is freed the call works again."""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile

from .checks import Skip, check, fails
from .registry import case
from .settings import Settings

ATTEMPTS_MAX = 200_000
SPARE = 16   # files, for filesystems with a fixed number of inodes
CHUNKS = (1 << 20, 1 << 16, 4096)


def fill(path="ballast"):
    """Writes a file until no block is left."""
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        for size in CHUNKS:
            data = bytes(size)
            try:
                while True:
                    os.write(descriptor, data)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    finally:
        os.close(descriptor)


def repeat(act, known):
    """Calls act(0), act(1)... until ENOSPC: how often it worked."""
    for number in range(ATTEMPTS_MAX):
        try:
            act(known + number)
        except OSError as error:
            check(error.errno == errno.ENOSPC, f"the call gave {error}, expected ENOSPC")
            return known + number
    raise Skip(f"{ATTEMPTS_MAX} more still fit")


@contextlib.contextmanager
def small_filesystem():
    """In a folder of the full directory, and alone there."""
    if not Settings.full_dir:
        raise Skip("needs --full-dir")
    with open_lock(Settings.full_dir):
        folder = tempfile.mkdtemp(prefix="full-", dir=Settings.full_dir)
        home = os.getcwd()
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(home)
            shutil.rmtree(folder)


def on_full(act, prepare=None):
    """One case of full_case()."""
    with small_filesystem():
        if prepare:
            prepare()
        for number in range(SPARE):
            open(f"spare{number}", "wb").close()
        fill()
        count = repeat(act, 0)
        fails(errno.ENOSPC, act, count)
        os.truncate("ballast", 0)
        for number in range(SPARE):
            os.unlink(f"spare{number}")
        act(count)


class open_lock:
    """An exclusive lock on a directory."""

    def __init__(self, path):
        self.descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)

    def __enter__(self):
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)

    def __exit__(self, *_):
        os.close(self.descriptor)


def full_case(name, prepare=None):
    """Registers a case whose function is the call to repeat: it is given a number."""
    def register(function):
        case(name)(lambda: on_full(function, prepare))
        return function
    return register
