# SPDX-License-Identifier: BSD-3-Clause
"""The rules of calls that take a directory descriptor and a path beside it."""

import contextlib
import errno
import os
from dataclasses import dataclass
from typing import Callable, Optional

from . import files
from .apart import ALICE
from .checks import absent, changes, fails, present
from .libc import AT_FDCWD
from .paths import nothing
from .registry import add


@dataclass(frozen=True)
class AtCall:
    name: str
    act: Callable                      # act(descriptor, path)
    target: Optional[str] = "regular"  # this and the others as in PathCall
    leaves: bool = True
    touches: bool = False
    argument: str = ""
    others: Callable = nothing

    def prepare(self, path, owner=None):
        if self.target:
            files.make(self.target, path)
            if owner:
                os.chown(path, owner.uid, owner.gid, follow_symlinks=False)
        self.others(owner)

    def works(self, descriptor, name, path):
        """The call succeeds by its descriptor and name, and it is the file at the path it meant."""
        with changes(path, "ctime") if self.touches else contextlib.nullcontext():
            self.act(descriptor, name)
        (present if self.leaves else absent)(path)


@contextlib.contextmanager
def opened(path, flags=os.O_RDONLY | os.O_DIRECTORY):
    descriptor = os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def at_rules(call):
    kind = call.target or "regular"
    for rule, function, root in (
            ("relative-to-descriptor", relative, False),
            ("relative-to-O_PATH", relative_path, False),
            ("relative-to-AT_FDCWD", current, False), ("absolute-path", absolute, False),
            ("EBADF", bad_descriptor, False), ("ENOENT-removed-directory", removed, False),
            ("EACCES-search-descriptor", no_search, True)):
        add(f"{call.name}/{rule}{call.argument}/{kind}", lambda run=function: run(call), root=root)
    for obstacle in ("regular", "fifo", "char"):
        add(f"{call.name}/ENOTDIR-descriptor{call.argument}/{obstacle}",
            lambda obstacle=obstacle: not_a_directory(call, obstacle))


def relative(call, flags=0):
    os.mkdir("dir")
    call.prepare("dir/file")
    with opened("dir", flags | os.O_DIRECTORY) as descriptor:
        call.works(descriptor, "file", "dir/file")


def relative_path(call):
    relative(call, os.O_PATH)


def current(call):
    call.prepare("file")
    call.works(AT_FDCWD, "file", "file")


def absolute(call):
    call.prepare("file")
    call.works(-1, os.path.abspath("file"), "file")


def bad_descriptor(call):
    call.prepare("file")
    fails(errno.EBADF, call.act, -1, "file")
    fails(errno.EBADF, call.act, 1 << 20, "file")


def not_a_directory(call, obstacle):
    call.prepare("file")
    files.make(obstacle, "obstacle")
    with opened("obstacle", os.O_PATH) as descriptor:
        fails(errno.ENOTDIR, call.act, descriptor, "file")


def removed(call):
    """Nothing is found and nothing is made in a directory that was removed."""
    call.others(None)
    os.mkdir("dir")
    with opened("dir") as descriptor:
        os.rmdir("dir")
        fails(errno.ENOENT, call.act, descriptor, "file")


def no_search(call):
    os.mkdir("dir")
    call.prepare("dir/file", ALICE)
    os.chmod("dir", 0o700)
    with opened("dir") as descriptor:
        ALICE.fails(errno.EACCES, call.act, descriptor, "file")
