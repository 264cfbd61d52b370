# SPDX-License-Identifier: BSD-3-Clause
"""A client of scripts/stress-kill: random operations on its own names in a shared tree, until the
daemon is gone. Each is written to a log before it is asked for, and again when it is answered.

    kill_client.py FOLDER LOG MODEL SEED

MODEL is what stands in FOLDER, pickled. Exit status: 0 if the daemon went away, 1 for an answer
that may not be.
"""

import errno
import json
import os
import pathlib
import pickle
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "mount"))

import kill_model  # noqa: E402
import pinning  # noqa: E402
from syscalls import RENAME_EXCHANGE, rename2  # noqa: E402

GONE = (errno.ENOTCONN, errno.ECONNABORTED)


class Short(Exception):
    """A write(2) that the kernel made several requests of; this many bytes were acknowledged."""

    def __init__(self, count):
        super().__init__(f"a short write, {count} bytes")
        self.count = count


class Hands:
    """Does operations in a folder."""

    def __init__(self, folder):
        self.folder = folder

    def do(self, operation):
        getattr(self, operation[0])(self.at(operation[1]), *operation[2:])

    def at(self, path):
        return f"{self.folder}/{path}"

    def create(self, path):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))

    def symlink(self, path, target):
        os.symlink(target, path)

    def write(self, path, offset, length, version):
        fd = os.open(path, os.O_WRONLY)
        try:
            count = os.pwrite(fd, kill_model.content(version, length), offset)
            if count != length:
                raise Short(count)
        finally:
            os.close(fd)

    def truncate(self, path, size):
        os.truncate(path, size)

    def rename(self, path, to):
        os.rename(path, self.at(to))

    def exchange(self, path, other):
        rename2(path, self.at(other), RENAME_EXCHANGE)

    def link(self, path, to):
        os.link(path, self.at(to))

    def unlink(self, path):
        os.unlink(path)

    def setxattr(self, path, name, length, version):
        os.setxattr(path, name, kill_model.content(version, length))

    def removexattr(self, path, name):
        os.removexattr(path, name)

    def pin(self, path):
        fd = pinning.open_direct(path)
        try:
            pinning.pin(fd, flags=pinning.PREPARE)
        finally:
            os.close(fd)

    def unpin(self, path):
        fd = pinning.open_direct(path)
        try:
            pinning.unpin(fd)
        finally:
            os.close(fd)


def is_gone(folder):
    """The daemon is dead, not only an answer wrong."""
    try:
        os.listdir(folder)
    except OSError as error:
        return error.errno in GONE
    return False


def main():
    folder, log_path, model_path, seed = sys.argv[1:]
    with open(model_path, "rb") as file:
        model = pickle.load(file)
    rng = random.Random(seed)
    hands = Hands(folder)
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    version = 0
    while True:
        version += 1
        operation = model.choose(rng, f"{seed} {version}")
        os.write(log, json.dumps(operation).encode() + b"\n")
        try:
            hands.do(operation)
        except (OSError, Short) as error:
            good = is_gone(folder)
            if good and isinstance(error, Short):
                os.write(log, b"short %d\n" % error.count)
            elif not good:
                print(f"{operation}: {error}", flush=True)
            return 0 if good else 1
        os.write(log, b"done\n")
        model.apply(operation)


if __name__ == "__main__":
    sys.exit(main())
