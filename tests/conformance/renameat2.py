# SPDX-License-Identifier: BSD-3-Clause
"""renameat2: RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT."""

import errno
import functools
import itertools
import os
import stat

from .framework.apart import ALICE, BOB, ReadOnly
from .framework.checks import (Skip, absent, changes, check, equal, fails, keeps, present,
                               tick)
from .framework.files import (ALL_KINDS, LEAF_KINDS, counts_directory_links, is_kind, make, read,
                              write)
from .framework.libc import (RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, renameat2)
from .framework.mounts import MountedOver
from .framework.paths import PathCall, path_rules
from .framework.registry import add, case


def supported(flag, name):
    """Skips the case if the filesystem knows no such flag."""
    make("regular", "probe")
    make("regular", "probe2")
    try:
        renameat2("probe", "probe2" if flag == RENAME_EXCHANGE else "probe3", flag)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise Skip(f"no {name}") from None
        raise
    for path in ("probe", "probe2", "probe3"):
        if os.path.lexists(path):
            os.unlink(path)


needs_noreplace = functools.partial(supported, RENAME_NOREPLACE, "RENAME_NOREPLACE")
needs_exchange = functools.partial(supported, RENAME_EXCHANGE, "RENAME_EXCHANGE")
needs_whiteout = functools.partial(supported, RENAME_WHITEOUT, "RENAME_WHITEOUT")


def make_source(owner):
    needs_noreplace()
    make("regular", "source")
    if owner:
        os.chown("source", owner.uid, owner.gid)


path_rules(PathCall("renameat2", lambda path: renameat2("source", path, RENAME_NOREPLACE),
                    argument="-noreplace", raw=lambda pointer: renameat2(
                        "source", pointer, RENAME_NOREPLACE), target=None, others=make_source,
                    follows=False, parent=True, writes=None))


@case("renameat2/no-flags-replaces/{kind}", kind=LEAF_KINDS)
def plain(kind):
    make(kind, "new")
    make("regular", "old")
    renameat2("new", "old", 0)
    check(is_kind("old", kind), f"not a {kind}")
    absent("new")


@case("renameat2/noreplace-EEXIST/{kind}", kind=ALL_KINDS)
def no_replace(kind):
    needs_noreplace()
    make(kind, "new")
    make(kind, "old")
    with keeps("old", "ino", "ctime"), keeps("new", "ino", "ctime"), keeps(".", "mtime"):
        fails(errno.EEXIST, renameat2, "new", "old", RENAME_NOREPLACE)


@case("renameat2/noreplace-EEXIST-itself/{kind}", kind=("regular", "directory"))
def no_replace_itself(kind):
    needs_noreplace()
    make(kind, "file")
    fails(errno.EEXIST, renameat2, "file", "file", RENAME_NOREPLACE)
    present("file")


@case("renameat2/noreplace-EEXIST-dangling-link/symlink")
def no_replace_dangling():
    needs_noreplace()
    make("regular", "file")
    os.symlink("missing", "link")
    fails(errno.EEXIST, renameat2, "file", "link", RENAME_NOREPLACE)


@case("renameat2/noreplace-moves/{kind}", kind=ALL_KINDS)
def no_replace_moves(kind):
    needs_noreplace()
    os.mkdir("to")
    make(kind, "file")
    inode = os.lstat("file").st_ino
    with changes("to", "mtime", "ctime"):
        renameat2("file", "to/file", RENAME_NOREPLACE)
    equal(os.lstat("to/file").st_ino, inode, "inode")
    absent("file")


def exchange(first, second):
    """Both change places; each is what it was."""
    needs_exchange()
    os.mkdir("a")
    os.mkdir("b")
    make(first, "a/file")
    make(second, "b/file")
    inodes = os.lstat("a/file").st_ino, os.lstat("b/file").st_ino
    with changes("a", "mtime", "ctime"), changes("b", "mtime", "ctime"):
        renameat2("a/file", "b/file", RENAME_EXCHANGE)
    equal((os.lstat("b/file").st_ino, os.lstat("a/file").st_ino), inodes, "inodes")
    check(is_kind("b/file", first) and is_kind("a/file", second), "kinds were not exchanged")
    if counts_directory_links():
        equal(os.stat("a").st_nlink, 2 + (second == "directory"), "link count of a")
        equal(os.stat("b").st_nlink, 2 + (first == "directory"), "link count of b")


for one, other in itertools.combinations_with_replacement(ALL_KINDS, 2):
    add(f"renameat2/exchange-with-{one}/{other}", functools.partial(exchange, one, other))


@case("renameat2/exchange-updates-ctime/{kind}", kind=ALL_KINDS)
def exchange_ctime(kind):
    needs_exchange()
    make(kind, "a")
    make("regular", "b")
    before = os.lstat("a").st_ctime_ns, os.lstat("b").st_ctime_ns
    tick()
    renameat2("a", "b", RENAME_EXCHANGE)
    after = os.lstat("b").st_ctime_ns, os.lstat("a").st_ctime_ns
    if after == before:
        raise Skip("an exchange counts as no change of the files, which POSIX allows")
    check(after[0] > before[0] and after[1] > before[1], f"ctimes {before}, then {after}")


@case("renameat2/exchange-keeps-contents/regular")
def exchange_contents():
    needs_exchange()
    write("a", b"first")
    write("b", b"second")
    with open("a", "rb") as file:
        renameat2("a", "b", RENAME_EXCHANGE)
        equal(file.read(), b"first", "contents of the descriptor")
    equal((read("a"), read("b")), (b"second", b"first"), "contents")


@case("renameat2/exchange-full-directories/directory")
def exchange_directories():
    needs_exchange()
    os.makedirs("x/a/one")
    os.makedirs("b/two")
    renameat2("x/a", "b", RENAME_EXCHANGE)
    equal((os.listdir("x/a"), os.listdir("b")), (["two"], ["one"]), "names")
    equal(os.stat("x/a/..").st_ino, os.stat("x").st_ino, "inode of x/a/..")
    equal(os.stat("b/..").st_ino, os.stat(".").st_ino, "inode of b/..")


@case("renameat2/exchange-ENOENT-{which}/regular", which=("source", "target"))
def exchange_missing(which):
    needs_exchange()
    make("regular", "file")
    names = ("missing", "file") if which == "source" else ("file", "missing")
    fails(errno.ENOENT, renameat2, *names, RENAME_EXCHANGE)
    present("file")
    absent("missing")


@case("renameat2/exchange-EINVAL-into-itself/directory")
def exchange_into_itself():
    needs_exchange()
    os.makedirs("dir/inner")
    make("regular", "dir/file")
    fails(errno.EINVAL, renameat2, "dir", "dir/inner", RENAME_EXCHANGE)
    fails((errno.EINVAL, errno.ENOTEMPTY), renameat2, "dir/inner", "dir", RENAME_EXCHANGE)
    fails(errno.EINVAL, renameat2, "dir", "dir/file", RENAME_EXCHANGE)
    present("dir/inner")


@case("renameat2/exchange-itself-changes-nothing/{kind}", kind=("regular", "directory"))
def exchange_itself(kind):
    needs_exchange()
    make(kind, "file")
    with keeps("file", "ino", "nlink"):
        renameat2("file", "file", RENAME_EXCHANGE)


@case("renameat2/exchange-sticky-EPERM/{kind}", root=True, kind=("regular", "symlink", "fifo"))
def exchange_sticky(kind):
    needs_exchange()
    os.mkdir("dir")
    make(kind, "dir/file")
    os.lchown("dir/file", ALICE.uid, ALICE.gid)
    os.chmod("dir", 0o1777)
    make(kind, "own")
    os.lchown("own", BOB.uid, BOB.gid)
    with keeps("dir/file", "ino"):
        BOB.fails((errno.EPERM, errno.EACCES), renameat2, "own", "dir/file", RENAME_EXCHANGE)
        BOB.fails((errno.EPERM, errno.EACCES), renameat2, "dir/file", "own", RENAME_EXCHANGE)


@case("renameat2/exchange-EROFS/regular", root=True)
def exchange_read_only():
    needs_exchange()
    os.mkdir("tree")
    make("regular", "tree/a")
    make("regular", "tree/b")
    with keeps("tree/a", "ino"):
        ReadOnly("tree").fails(errno.EROFS, renameat2, "tree/a", "tree/b", RENAME_EXCHANGE)


@case("renameat2/exchange-EXDEV/regular", root=True)
def exchange_other_mount():
    needs_exchange()
    os.mkdir("tree")
    make("regular", "tree/a")
    make("regular", "b")
    MountedOver("tree").fails(errno.EXDEV, renameat2, "tree/a", "b", RENAME_EXCHANGE)


@case("renameat2/whiteout-leaves-device-0-0/{kind}", root=True, kind=ALL_KINDS)
def whiteout(kind):
    needs_whiteout()
    make(kind, "file")
    inode = os.lstat("file").st_ino
    renameat2("file", "moved", RENAME_WHITEOUT)
    equal(os.lstat("moved").st_ino, inode, "inode")
    left = os.lstat("file")
    check(stat.S_ISCHR(left.st_mode), "no character device was left")
    equal(left.st_rdev, 0, "device number")


@case("renameat2/whiteout-replaces/regular", root=True)
def whiteout_replaces():
    needs_whiteout()
    write("new", b"new")
    write("old", b"old")
    renameat2("new", "old", RENAME_WHITEOUT)
    equal(read("old"), b"new", "contents")
    check(stat.S_ISCHR(os.lstat("new").st_mode), "no character device was left")


@case("renameat2/whiteout-noreplace-EEXIST/regular", root=True)
def whiteout_no_replace():
    needs_whiteout()
    make("regular", "new")
    make("regular", "old")
    fails(errno.EEXIST, renameat2, "new", "old", RENAME_WHITEOUT | RENAME_NOREPLACE)
    check(is_kind("new", "regular"), "the refused call did something")


@case("renameat2/whiteout-noreplace-moves/regular", root=True)
def whiteout_no_replace_moves():
    needs_whiteout()
    write("file", b"content")
    renameat2("file", "moved", RENAME_WHITEOUT | RENAME_NOREPLACE)
    equal(read("moved"), b"content", "contents")
    check(stat.S_ISCHR(os.lstat("file").st_mode), "no character device was left")


@case("renameat2/EINVAL-{which}/regular",
      which=("noreplace+exchange", "whiteout+exchange", "unknown"))
def bad_flags(which):
    make("regular", "a")
    make("regular", "b")
    flags = {"noreplace+exchange": RENAME_NOREPLACE | RENAME_EXCHANGE,
             "whiteout+exchange": RENAME_WHITEOUT | RENAME_EXCHANGE, "unknown": 1 << 10}[which]
    with keeps("a", "ino", "ctime"), keeps("b", "ino", "ctime"):
        fails(errno.EINVAL, renameat2, "a", "b", flags)
