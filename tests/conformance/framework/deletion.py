# SPDX-License-Identifier: BSD-3-Clause
"""The rules of calls that take a name away: times of the directory, sticky directories."""

import errno
import os
from dataclasses import dataclass
from typing import Callable

from . import files
from .apart import ALICE, BOB
from .checks import absent, changes, fails, keeps, present
from .registry import add


@dataclass(frozen=True)
class Deletion:
    name: str
    remove: Callable     # remove(path)
    kinds: tuple         # of files that it takes
    suffix: str = ""


def deletion_rules(call):
    for kind in call.kinds:
        for rule, function, root in (
                ("removes-the-name", removes, False),
                ("updates-parent-times", updates_parent, False),
                ("sticky-EPERM-neither-owner", neither_owner, True),
                ("sticky-owner-of-file-may", file_owner, True),
                ("sticky-owner-of-directory-may", folder_owner, True),
                ("sticky-root-may", root_may, True),
                ("needs-no-right-on-the-file", no_right, True)):
            add(f"{call.name}/{rule}{call.suffix}/{kind}",
                lambda run=function, kind=kind: run(call, kind), root=root)
    add(f"{call.name}/failure-keeps-parent-times{call.suffix}/directory",
        lambda: failure_keeps_parent(call))


def removes(call, kind):
    files.make(kind, "file")
    call.remove("file")
    absent("file")
    fails(errno.ENOENT, call.remove, "file")


def updates_parent(call, kind):
    os.mkdir("dir")
    files.make(kind, "dir/file")
    with changes("dir", "mtime", "ctime"):
        call.remove("dir/file")


def sticky_folder(kind, file_owner_id, folder_owner_id):
    os.mkdir("dir")
    files.make(kind, "dir/file", 0o666)
    os.chown("dir/file", file_owner_id, file_owner_id, follow_symlinks=False)
    os.chown("dir", folder_owner_id, folder_owner_id)
    os.chmod("dir", 0o1777)


def neither_owner(call, kind):
    sticky_folder(kind, ALICE.uid, 0)
    with keeps("dir", "mtime", "ctime"):
        BOB.fails((errno.EPERM, errno.EACCES), call.remove, "dir/file")
    present("dir/file")
    os.chmod("dir", 0o777)
    BOB.succeeds(call.remove, "dir/file")


def file_owner(call, kind):
    sticky_folder(kind, ALICE.uid, BOB.uid)
    ALICE.succeeds(call.remove, "dir/file")
    absent("dir/file")


def folder_owner(call, kind):
    sticky_folder(kind, ALICE.uid, BOB.uid)
    BOB.succeeds(call.remove, "dir/file")
    absent("dir/file")


def root_may(call, kind):
    sticky_folder(kind, ALICE.uid, BOB.uid)
    call.remove("dir/file")
    absent("dir/file")


def no_right(call, kind):
    """What counts is the directory, not the mode or the owner of the file."""
    os.mkdir("dir")
    files.make(kind, "dir/file", 0)
    ALICE.owns("dir", 0o300)
    ALICE.succeeds(call.remove, "dir/file")
    absent("dir/file")


def failure_keeps_parent(call):
    os.mkdir("dir")
    with keeps("dir", "mtime", "ctime"):
        fails(errno.ENOENT, call.remove, "dir/missing")
