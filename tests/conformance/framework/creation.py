# SPDX-License-Identifier: BSD-3-Clause
"""The rules of calls that make a file: what it belongs to, its mode and times, what it does to the
directory, and that nothing is there already."""

import errno
import os
from dataclasses import dataclass
from typing import Callable

from . import files
from .apart import ALICE, FRIEND, MEMBER
from .checks import absent, changes, check, close_to_now, equal, fails, keeps, mode_is, present
from .registry import add


@dataclass(frozen=True)
class Creation:
    name: str
    make: Callable            # make(path, mode)
    kind: str = "regular"     # of what it makes
    has_mode: bool = True     # symbolic links have none
    exclusive: bool = True    # EEXIST if something is there
    privileged: bool = False  # only root may call it
    suffix: str = ""          # of the rules' names, if a program has several such calls


def creation_rules(call):
    def register(rule, function, kind=None, root=False, **options):
        add(f"{call.name}/{rule}{call.suffix}/{kind or call.kind}",
            lambda: function(call, **options), root=root)

    if call.exclusive:
        for kind in files.ALL_KINDS:
            register("EEXIST", already_there, kind, obstacle=kind)
        register("EEXIST-dangling-link", dangling_link)
        register("EEXIST-link-to-directory", link_to_directory)
    register("makes-the-kind", makes_the_kind)
    register("updates-parent-times", updates_parent)
    register("gives-times-of-now", times_of_now)
    register("failure-keeps-parent-times", failure_keeps_parent)
    if not call.privileged:
        register("owner-is-effective-user", owned_by_caller, root=True)
        register("owned-by-setgid-parents-group", setgid_parent, root=True)
    if call.has_mode:
        register("mode-as-given", mode_as_given)
        register("mode-masked-by-umask", masked)
        if not call.privileged and call.kind != "directory":
            register("setgid-lost-outside-group", setgid_outside_group, root=True)


def already_there(call, obstacle):
    files.make(obstacle, "file")
    with keeps("file", "mode", "ino", "ctime"):
        fails(errno.EEXIST, call.make, "file", 0o600)
    check(files.is_kind("file", obstacle), "what was there changed its kind")


def dangling_link(call):
    os.symlink("missing", "file")
    fails(errno.EEXIST, call.make, "file", 0o600)
    absent("missing")


def link_to_directory(call):
    os.mkdir("dir")
    os.symlink("dir", "link")
    fails(errno.EEXIST, call.make, "link", 0o600)


def makes_the_kind(call):
    call.make("file", 0o644)
    check(files.is_kind("file", call.kind), f"not a {call.kind}")
    links = 2 if call.kind == "directory" and files.counts_directory_links() else 1
    equal(os.lstat("file").st_nlink, links, "link count")
    if call.kind in ("regular", "fifo", "socket"):
        equal(os.lstat("file").st_size, 0, "size")


def updates_parent(call):
    os.mkdir("dir")
    with changes("dir", "mtime", "ctime"):
        call.make("dir/file", 0o644)


def times_of_now(call):
    call.make("file", 0o644)
    status = os.lstat("file")
    for field in ("atime", "mtime", "ctime"):
        close_to_now(getattr(status, f"st_{field}_ns"), field)


def failure_keeps_parent(call):
    os.mkdir("dir")
    with keeps("dir", "mtime", "ctime", "nlink"):
        fails(errno.ENAMETOOLONG, call.make, "dir/" + "n" * 1024, 0o600)
        fails(errno.ENOENT, call.make, "dir/missing/file", 0o600)


def owned_by_caller(call):
    os.mkdir("dir", 0o777)
    MEMBER.does(call.make, "dir/file", 0o644)
    status = os.lstat("dir/file")
    equal((status.st_uid, status.st_gid), (MEMBER.uid, MEMBER.gid), "owner and group")


def setgid_parent(call):
    """The directory's group is inherited; a directory inherits the bit as well."""
    os.mkdir("dir")
    os.chown("dir", 0, 64999)
    os.chmod("dir", 0o2777)
    ALICE.does(call.make, "dir/file", 0o755)
    status = os.lstat("dir/file")
    equal((status.st_uid, status.st_gid), (ALICE.uid, 64999), "owner and group")
    if call.has_mode:
        mode_is("dir/file", 0o2755 if call.kind == "directory" else 0o755)


def mode_as_given(call):
    for wanted in (0o000, 0o400, 0o111, 0o751, 0o777):
        call.make("file", wanted)
        mode_is("file", wanted)
        files.remove("file")


def masked(call):
    for mask, given, wanted in ((0o022, 0o777, 0o755), (0o077, 0o666, 0o600),
                                (0o777, 0o777, 0o000), (0o124, 0o751, 0o651)):
        os.umask(mask)
        call.make("file", given)
        mode_is("file", wanted)
        files.remove("file")


def setgid_outside_group(call):
    """A program for a group must be made by a member of it."""
    os.mkdir("dir")
    os.chown("dir", 0, 64999)
    os.chmod("dir", 0o2777)
    FRIEND.does(call.make, "dir/file", 0o2755)
    mode_is("dir/file", 0o755)
    present("dir/file")
