# SPDX-License-Identifier: BSD-3-Clause
"""rename and renameat."""

import errno
import os

from .framework import libc
from .framework.apart import ALICE, ANOTHER, BOB, ReadOnly
from .framework.at_rules import AtCall, at_rules, opened
from .framework.checks import Skip, absent, changes, check, equal, fails, keeps, present
from .framework.deletion import Deletion, deletion_rules
from .framework.enospc import full_case
from .framework.files import (ALL_KINDS, LEAF_KINDS, counts_directory_links, is_kind, make, read,
                              write)
from .framework.mounts import MountedOver
from .framework.paths import PathCall, path_rules
from .framework.processes import meanwhile
from .framework.registry import case


def make_source(owner):
    make("regular", "source")
    if owner:
        os.chown("source", owner.uid, owner.gid)


def renameat(source_fd, source, target_fd, target):
    libc.call("renameat", source_fd, source, target_fd, target)


path_rules(PathCall("rename", lambda path: os.rename(path, "moved"), argument="-source",
                    raw=lambda pointer: libc.call("rename", pointer, "moved"), leaves=False,
                    follows=False, parent=True, writes=None))
path_rules(PathCall("rename", lambda path: os.rename("source", path), argument="-target",
                    raw=lambda pointer: libc.call("rename", "source", pointer), target=None,
                    others=make_source, follows=False, parent=True, writes=None))
at_rules(AtCall("rename", lambda descriptor, path: renameat(descriptor, path, libc.AT_FDCWD,
                                                            os.path.abspath("moved")),
                leaves=False, argument="-source"))
at_rules(AtCall("rename", lambda descriptor, path: renameat(libc.AT_FDCWD, os.path.abspath(
    "source"), descriptor, path), target=None, others=make_source, argument="-target"))
deletion_rules(Deletion("rename", lambda path: os.rename(path, "moved"), LEAF_KINDS,
                        suffix="-source"))


@full_case("rename/ENOSPC/regular", prepare=lambda: many_files(3000))
def no_space(number):
    """The directory they go to must grow: long names."""
    if number >= 3000:
        raise Skip("3000 names of 250 bytes still fit")
    os.rename(f"from/{number}", f"to/{number:0250}")


def many_files(count):
    os.mkdir("from")
    os.mkdir("to")
    try:
        for number in range(count):
            make("regular", f"from/{number}")
    except OSError as error:
        equal(error.errno, errno.ENOSPC, "errno")
        raise Skip(f"the full directory holds no {count} files") from None


@case("rename/is-the-same-file/{kind}", kind=ALL_KINDS)
def same_file(kind):
    make(kind, "file")
    with_before = os.lstat("file")
    os.rename("file", "moved")
    absent("file")
    after = os.lstat("moved")
    for field in ("ino", "mode", "uid", "gid", "rdev", "size", "nlink", "mtime_ns", "atime_ns"):
        equal(getattr(after, "st_" + field), getattr(with_before, "st_" + field), field)


@case("rename/updates-ctime/{kind}", kind=ALL_KINDS)
def updates_ctime(kind):
    make(kind, "file")
    descriptor = os.open("file", os.O_PATH | os.O_NOFOLLOW)
    with changes(descriptor, "ctime"):
        os.rename("file", "moved")


@case("rename/updates-both-parents/{kind}", kind=ALL_KINDS)
def both_parents(kind):
    os.mkdir("from")
    os.mkdir("to")
    make(kind, "from/file")
    with changes("from", "mtime", "ctime"), changes("to", "mtime", "ctime"):
        os.rename("from/file", "to/file")
    absent("from/file")
    present("to/file")


@case("rename/replaces-{old}/{kind}", old=LEAF_KINDS, kind=LEAF_KINDS)
def replaces(old, kind):
    make(kind, "new")
    make(old, "old")
    inode = os.lstat("new").st_ino
    os.link("old", "witness", follow_symlinks=False)
    with changes("witness", "ctime"):
        os.rename("new", "old")
    absent("new")
    equal(os.lstat("old").st_ino, inode, "inode")
    check(is_kind("old", kind), f"not a {kind}")
    equal(os.lstat("witness").st_nlink, 1, "link count of what was replaced")


@case("rename/replaces-empty/directory")
def replaces_empty():
    os.makedirs("new/inner")
    os.mkdir("old")
    with opened("old") as descriptor:
        os.rename("new", "old")
        check(os.fstat(descriptor).st_nlink in (0, 1), "link count of what was replaced")
        fails(errno.ENOENT, libc.call, "mkdirat", descriptor, "late", 0o755)
    equal(os.listdir("old"), ["inner"], "names")
    absent("new")


@case("rename/ENOTEMPTY/{kind}", kind=ALL_KINDS)
def not_empty(kind):
    os.mkdir("new")
    os.mkdir("old")
    make(kind, "old/file")
    with keeps("old", "mtime", "ctime", "ino"), keeps("new", "ino", "ctime"):
        fails((errno.ENOTEMPTY, errno.EEXIST), os.rename, "new", "old")
    present("old/file")


@case("rename/EISDIR/{kind}", kind=LEAF_KINDS)
def is_directory(kind):
    make(kind, "new")
    os.mkdir("old")
    with keeps("new", "ino", "ctime"), keeps("old", "ino", "ctime"), keeps(".", "mtime"):
        fails(errno.EISDIR, os.rename, "new", "old")


@case("rename/ENOTDIR/{kind}", kind=LEAF_KINDS)
def not_directory(kind):
    os.mkdir("new")
    make(kind, "old")
    with keeps("new", "ino", "ctime"), keeps("old", "ino", "ctime"), keeps(".", "mtime"):
        fails(errno.ENOTDIR, os.rename, "new", "old")


@case("rename/EINVAL-into-itself/directory")
def into_itself():
    os.makedirs("dir/inner/deep")
    for target in ("dir/new", "dir/inner/new", "dir/inner/deep"):
        with keeps("dir", "ctime", "ino"):
            fails(errno.EINVAL, os.rename, "dir", target)
    present("dir/inner/deep")


@case("rename/ENOTEMPTY-onto-ancestor/directory")
def onto_ancestor():
    os.makedirs("dir/inner/deep")
    fails((errno.ENOTEMPTY, errno.EEXIST), os.rename, "dir/inner/deep", "dir")
    fails((errno.ENOTEMPTY, errno.EEXIST), os.rename, "dir/inner", "dir")


@case("rename/EBUSY-{name}/directory", name=("dot", "dot-dot"))
def dots(name):
    dot = {"dot": ".", "dot-dot": ".."}[name]
    os.mkdir("dir")
    expected = (errno.EBUSY, errno.EINVAL, errno.ENOTEMPTY, errno.EEXIST)
    fails(expected, os.rename, "dir/" + dot, "new")
    fails(expected, os.rename, "dir", "dir/" + dot)
    fails(expected, os.rename, dot, "new")
    present("dir")


@case("rename/EBUSY-mount-point/directory", root=True)
def mount_point():
    os.mkdir("dir")
    os.mkdir("other")
    MountedOver("dir").fails(errno.EBUSY, os.rename, "dir", "new")
    MountedOver("dir").fails(errno.EBUSY, os.rename, "other", "dir")
    present("dir")


@case("rename/EXDEV/{kind}", root=True, kind=ALL_KINDS)
def other_mount(kind):
    os.mkdir("tree")
    make(kind, "file")
    MountedOver("tree").fails(errno.EXDEV, os.rename, "file", "tree/file")
    present("file")
    absent("tree/file")


@case("rename/EROFS/{kind}", root=True, kind=ALL_KINDS)
def read_only(kind):
    os.mkdir("tree")
    make(kind, "tree/file")
    ReadOnly("tree").fails(errno.EROFS, os.rename, "tree/file", "tree/moved")
    present("tree/file")


@case("rename/onto-itself-changes-nothing/{kind}", kind=ALL_KINDS)
def itself(kind):
    make(kind, "file")
    with keeps("file", "ino", "nlink", "mtime"), keeps(".", "mtime", "ctime"):
        os.rename("file", "file")


@case("rename/onto-own-link-changes-nothing/{kind}", kind=LEAF_KINDS)
def own_link(kind):
    make(kind, "file")
    os.link("file", "second", follow_symlinks=False)
    with keeps("file", "ino", "nlink"), keeps(".", "mtime", "ctime"):
        os.rename("file", "second")
    present("file")
    equal(os.lstat("second").st_nlink, 2, "link count")


@case("rename/keeps-contents/regular")
def contents():
    write("file", b"contents")
    write("old", b"something else that is longer")
    os.rename("file", "old")
    equal(read("old"), b"contents", "contents")


@case("rename/open-descriptors-follow/{kind}", kind=("regular", "directory", "fifo"))
def open_descriptors(kind):
    make(kind, "file")
    with opened("file", os.O_RDONLY | os.O_NONBLOCK) as descriptor:
        os.rename("file", "moved")
        equal(os.fstat(descriptor).st_ino, os.lstat("moved").st_ino, "inode")
        os.fchmod(descriptor, 0o700)
        equal(os.lstat("moved").st_mode & 0o777, 0o700, "mode")


@case("rename/replaced-open-file-lives-on/regular")
def replaced_lives():
    write("old", b"old")
    write("new", b"new")
    with open("old", "r+b", buffering=0) as file:
        os.rename("new", "old")
        equal(file.read(), b"old", "contents")
        file.write(b" and more")
        equal(os.fstat(file.fileno()).st_nlink, 0, "link count")
    equal(read("old"), b"new", "contents of the name")


@case("rename/moves-parent-of-directory/directory")
def parent_moves():
    os.makedirs("from/dir/inner")
    os.mkdir("to")
    os.rename("from/dir", "to/dir")
    equal(os.stat("to/dir/..").st_ino, os.stat("to").st_ino, "inode of to/dir/..")
    present("to/dir/inner")
    if not counts_directory_links():
        raise Skip("directories here do not count their links")
    equal((os.stat("from").st_nlink, os.stat("to").st_nlink), (2, 3), "link counts of the parents")


@case("rename/replaced-directory-leaves-link-counts/directory")
def replaced_count():
    if not counts_directory_links():
        raise Skip("directories here do not count their links")
    os.makedirs("from/dir")
    os.makedirs("to/dir")
    os.rename("from/dir", "to/dir")
    equal((os.stat("from").st_nlink, os.stat("to").st_nlink), (2, 3), "link counts of the parents")


@case("rename/EACCES-unwritable-directory-changes-parent/directory", root=True)
def unwritable_directory():
    """Its .. would change; within the same parent nothing in it does."""
    os.mkdir("from", 0o777)
    os.mkdir("to", 0o777)
    os.mkdir("from/dir")
    ALICE.owns("from/dir", 0o555)
    ALICE.fails(errno.EACCES, os.rename, "from/dir", "to/dir")
    present("from/dir")
    ALICE.succeeds(os.rename, "from/dir", "from/other")


@case("rename/sticky-EPERM-replacing/{kind}", root=True, kind=ALL_KINDS)
def sticky_target(kind):
    """Also what is replaced counts: it disappears from a sticky directory."""
    os.mkdir("dir")
    os.chmod("dir", 0o1777)
    make(kind, "dir/old")
    os.lchown("dir/old", ALICE.uid, ALICE.gid)
    make(kind, "new")
    os.lchown("new", BOB.uid, BOB.gid)
    BOB.fails((errno.EPERM, errno.EACCES), os.rename, "new", "dir/old")
    present("new")
    os.lchown("dir/old", BOB.uid, BOB.gid)
    BOB.succeeds(os.rename, "new", "dir/old")


@case("rename/sticky-EPERM-source/directory", root=True)
def sticky_source():
    os.mkdir("dir")
    os.chmod("dir", 0o1777)
    os.mkdir("dir/inner", 0o777)
    os.chown("dir/inner", ALICE.uid, ALICE.gid)
    BOB.fails((errno.EPERM, errno.EACCES), os.rename, "dir/inner", "dir/other")
    ALICE.succeeds(os.rename, "dir/inner", "dir/other")


@case("rename/trailing-slash-{which}/{kind}", which=("source", "target"), kind=LEAF_KINDS)
def slash_on_file(which, kind):
    make(kind, "file")
    expected = (errno.ENOTDIR, errno.ENOENT) if kind == "symlink" else errno.ENOTDIR
    if which == "source":
        fails(expected, os.rename, "file/", "moved")
    else:
        fails(expected, os.rename, "file", "moved/")
    present("file")
    absent("moved")


@case("rename/accepts-trailing-slash/directory")
def slash():
    os.mkdir("dir")
    os.rename("dir/", "moved/")
    present("moved")
    absent("dir")


@case("rename/does-not-follow-source/{kind}", kind=ALL_KINDS)
def source_link(kind):
    make(kind, "target")
    os.symlink("target", "link")
    os.rename("link", "moved")
    equal(os.readlink("moved"), "target", "target")
    present("target")


@case("rename/does-not-follow-target/{kind}", kind=LEAF_KINDS)
def target_link(kind):
    write("target", b"spared")
    os.symlink("target", "link")
    make(kind, "file")
    os.rename("file", "link")
    check(is_kind("link", kind), f"not a {kind}")
    absent("file")
    equal(read("target"), b"spared", "contents of the target")


@case("rename/name-is-never-missing/regular")
def atomic():
    """Another process looks at the name all the while it is replaced."""
    write("name", b"0")

    def replace():
        for number in range(300):
            write("new", str(number).encode())
            os.rename("new", "name")
    for _ in meanwhile(replace):
        check(read("name").isdigit(), "a name without a whole file")
    equal(read("name"), b"299", "contents in the end")


@case("rename/by-two-processes-at-once/regular")
def two_processes():
    """Exactly one of those who move a name away gets it."""
    won = 0
    for number in range(20):
        write("file", b"")
        pid = os.fork()
        if pid == 0:
            try:
                os.rename("file", "child")
                os._exit(1)
            except FileNotFoundError:
                os._exit(0)
        try:
            os.rename("file", "parent")
            won += 1
        except FileNotFoundError:
            pass
        won += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        equal(won, number + 1, "how many got the file")


@case("rename/seen-by-another-process-at-once/{kind}", kind=ALL_KINDS)
def seen(kind):
    make(kind, "file")
    os.rename("file", "moved")
    ANOTHER.runs(lambda: (absent("file"), present("moved"), None)[2])
