# SPDX-License-Identifier: BSD-3-Clause
"""The rules every call that takes a path obeys: what stands in the way, who may pass, how long
a name may be, how many links are followed.

path_rules(PathCall(...)) registers them for one call, or for one argument of a call with two.
"""

import contextlib
import errno
import os
from dataclasses import dataclass
from typing import Callable, Optional

from . import files
from .apart import ALICE, ReadOnly
from .checks import Skip, absent, changes, check, exists, fails, present
from .libc import BAD_POINTER
from .registry import add

PATH_MAX = 4096   # with the terminating zero
LINKS_MAX = 40    # symbolic links followed in one walk


def nothing(_):
    """For calls that need no other file, and targets that need no more."""


@dataclass(frozen=True)
class PathCall:
    name: str                         # of the system call
    act: Callable                     # calls it with a path
    raw: Optional[Callable] = None    # calls it with a pointer that may be bad
    target: Optional[str] = "regular"  # the kind of file it wants there; None: it makes one
    leaves: bool = True               # whether something is at the path afterwards
    follows: bool = True              # a symbolic link at the end of the path
    writes: Optional[bool] = True     # refused below a read-only mount; None: not asked
    parent: bool = False              # needs permission to write the directory
    touches: bool = False             # moves the ctime of what is at the path
    argument: str = ""                # which path, if the call has several: "-source"
    others: Callable = nothing        # makes other files it needs, for a user (None: root)
    ready: Callable = nothing         # what the target needs besides being there
    kind: Optional[str] = None        # in the name; if not the target's

    @property
    def shown_kind(self):
        return self.kind or self.target or "regular"

    def prepare(self, path, owner=None):
        """Makes what the call needs to succeed on the path."""
        if self.target:
            files.make(self.target, path)
            if owner:
                os.chown(path, owner.uid, owner.gid, follow_symlinks=False)
            self.ready(path)
        self.others(owner)

    def works(self, path, who=None):
        """The call succeeds, and the path is there, or gone, as it should be."""
        with changes(path, "ctime") if self.touches else contextlib.nullcontext():
            if who:
                who.does(self.act, path)
            else:
                self.act(path)
        (present if self.leaves else absent)(path)


def name_max():
    return os.pathconf(".", "PC_NAME_MAX")


def path_rules(call):
    register = Registrar(call)
    for obstacle in files.OBSTACLES:
        register("ENOTDIR-prefix", not_a_directory, obstacle, obstacle=obstacle)
    register("ENAMETOOLONG-component", component_too_long)
    register("ENAMETOOLONG-prefix", prefix_too_long)
    register("ENAMETOOLONG-path", path_too_long)
    register("accepts-longest-component", longest_component)
    register("accepts-longest-path", longest_path)
    register("accepts-any-bytes", any_bytes)
    register("ENOENT-prefix", missing_prefix)
    register("ENOENT-dangling-prefix", dangling_prefix)
    register("ENOENT-empty-path", empty_path)
    register("ELOOP-prefix", loop_in_prefix)
    register("ELOOP-41-links", too_many_links)
    register("follows-40-links", many_links)
    for who in ("owner", "group", "other"):
        register(f"EACCES-search-{who}", no_search, root=True, who=who)
    register("root-needs-no-search", root_passes, root=True)
    optional_rules(call, register)


def optional_rules(call, register):
    if call.target:
        register("ENOENT-missing", missing)
        if call.target not in ("directory", "symlink"):
            register("ENOTDIR-trailing-slash", trailing_slash)
    if call.target and call.follows:
        register("ENOENT-dangling", dangling)
    if call.follows:
        register("ELOOP-final", loop_at_end)
    if call.parent:
        for who in ("owner", "group", "other"):
            register(f"EACCES-write-parent-{who}", no_write, root=True, who=who)
    if call.writes is not None:
        register("EROFS" if call.writes else "works-read-only", read_only, root=True)
    if call.raw:
        register("EFAULT", bad_pointer)


@dataclass(frozen=True)
class Registrar:
    call: PathCall

    def __call__(self, rule, function, kind=None, root=False, **options):
        name = f"{self.call.name}/{rule}{self.call.argument}/{kind or self.call.shown_kind}"
        add(name, lambda: function(self.call, **options), root=root)


def not_a_directory(call, obstacle):
    files.make(obstacle, "obstacle")
    call.others(None)
    fails(errno.ENOTDIR, call.act, "obstacle/file")
    present("obstacle")


def component_too_long(call):
    call.others(None)
    fails(errno.ENAMETOOLONG, call.act, "n" * (name_max() + 1))


def prefix_too_long(call):
    call.others(None)
    fails(errno.ENAMETOOLONG, call.act, "n" * (name_max() + 1) + "/file")


def path_too_long(call):
    call.prepare("file")
    fails(errno.ENAMETOOLONG, call.act, files.padded("file", PATH_MAX))
    check(exists("file") == bool(call.target), "the refused call did something")


def longest_component(call):
    name = "n" * name_max()
    call.prepare(name)
    call.works(name)


def longest_path(call):
    call.prepare("file")
    call.works(files.padded("file", PATH_MAX - 1))


def any_bytes(call):
    name = b"\xff\xc0 \n\x01\\*'\""
    try:
        os.mkdir(name + b"?")
    except OSError:
        raise Skip("names are text here") from None
    call.prepare(name)
    call.works(name)


def missing_prefix(call):
    call.others(None)
    fails(errno.ENOENT, call.act, "missing/file")


def dangling_prefix(call):
    call.others(None)
    os.symlink("missing", "link")
    fails(errno.ENOENT, call.act, "link/file")


def missing(call):
    call.others(None)
    fails(errno.ENOENT, call.act, "missing")


def dangling(call):
    call.others(None)
    os.symlink("missing", "link")
    fails(errno.ENOENT, call.act, "link")


def empty_path(call):
    call.others(None)
    fails(errno.ENOENT, call.act, "")


def trailing_slash(call):
    call.prepare("file")
    fails(errno.ENOTDIR, call.act, "file/")
    present("file")


def loop_in_prefix(call):
    call.others(None)
    fails(errno.ELOOP, call.act, files.loop("loop") + "/file")


def loop_at_end(call):
    call.others(None)
    fails(errno.ELOOP, call.act, files.loop("loop"))


def too_many_links(call):
    os.mkdir("dir")
    call.prepare("dir/file")
    fails(errno.ELOOP, call.act, files.chain(LINKS_MAX + 1, "dir") + "/file")


def many_links(call):
    os.mkdir("dir")
    call.prepare("dir/file")
    call.works(files.chain(LINKS_MAX, "dir") + "/file")


def folder_for(who, mode):
    """A directory that alice meets as its owner, by its group, or as anybody."""
    owner = {"owner": ALICE.uid}.get(who, 0)
    group = {"group": ALICE.gid}.get(who, 0)
    os.chown("dir", owner, group)
    os.chmod("dir", mode)


def without(who, bit):
    return 0o777 & ~(bit << {"owner": 6, "group": 3, "other": 0}[who])


def no_search(call, who):
    os.mkdir("dir")
    call.prepare("dir/file", ALICE)
    folder_for(who, without(who, 1))
    ALICE.fails(errno.EACCES, call.act, "dir/file")
    folder_for(who, 0o777)
    call.works("dir/file", ALICE)


def no_write(call, who):
    os.mkdir("dir")
    call.prepare("dir/file", ALICE)
    folder_for(who, without(who, 2))
    ALICE.fails(errno.EACCES, call.act, "dir/file")
    check(exists("dir/file") == bool(call.target), "the refused call did something")
    folder_for(who, without(who, 4))
    call.works("dir/file", ALICE)


def root_passes(call):
    os.mkdir("dir")
    call.prepare("dir/file")
    os.chmod("dir", 0)
    call.works("dir/file")


def read_only(call):
    os.mkdir("tree")
    call.prepare("tree/file")
    if call.writes:
        ReadOnly("tree").fails(errno.EROFS, call.act, "tree/file")
        check(exists("tree/file") == bool(call.target), "the refused call did something")
    else:
        ReadOnly("tree").succeeds(call.act, "tree/file")


def bad_pointer(call):
    call.others(None)
    fails(errno.EFAULT, call.raw, BAD_POINTER)
    fails(errno.EFAULT, call.raw, None)
