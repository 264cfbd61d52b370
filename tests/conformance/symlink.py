# SPDX-License-Identifier: BSD-3-Clause
"""symlink and symlinkat, and where the links lead."""

import errno
import os

from .framework import libc
from .framework.at_rules import AtCall, at_rules
from .framework.checks import Skip, absent, equal, fails, keeps, present
from .framework.creation import Creation, creation_rules
from .framework.enospc import full_case
from .framework.files import ALL_KINDS, chain, make, read, write
from .framework.paths import PATH_MAX, PathCall, path_rules
from .framework.registry import case

path_rules(PathCall("symlink", lambda path: os.symlink("target", path), target=None,
                    raw=lambda pointer: libc.call("symlink", "target", pointer), follows=False,
                    parent=True, kind="symlink"))
at_rules(AtCall("symlink", lambda descriptor, path: libc.call("symlinkat", "target", descriptor,
                                                              path), target=None))
creation_rules(Creation("symlink", lambda path, _: os.symlink("target", path), kind="symlink",
                        has_mode=False))


@full_case("symlink/ENOSPC/symlink")
def no_space(number):
    os.symlink("t" * 300, f"link{number}")


@case("symlink/keeps-target-of-{length}/symlink",
      length=(1, 15, 59, 60, 61, 255, 256, 511, 1000, 2047, 4000, PATH_MAX - 1))
def lengths(length):
    target = "/".join(["t" * 99] * 41)[:length]
    try:
        os.symlink(target, "link")
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG and length > 1000:
            raise Skip(f"no room for a target of {length} bytes") from None
        raise
    equal(os.readlink("link"), target, "target")
    equal(os.lstat("link").st_size, length, "size")


@case("symlink/ENAMETOOLONG-target/symlink")
def target_too_long():
    fails(errno.ENAMETOOLONG, os.symlink, "t" * PATH_MAX, "link")
    absent("link")


@case("symlink/ENOENT-empty-target/symlink")
def empty_target():
    fails(errno.ENOENT, os.symlink, "", "link")
    absent("link")


@case("symlink/EFAULT-target/symlink")
def bad_target():
    fails(errno.EFAULT, libc.call, "symlink", libc.BAD_POINTER, "link")
    absent("link")


@case("symlink/ENOENT-name-with-slash/symlink")
def name_with_slash():
    fails(errno.ENOENT, os.symlink, "target", "link/")
    absent("link")


@case("symlink/target-of-any-bytes/symlink")
def any_bytes():
    target = bytes(range(1, 256))
    os.symlink(target, "link")
    equal(os.readlink(b"link"), target, "target")


@case("symlink/target-is-not-looked-at/symlink")
def not_looked_at():
    for number, target in enumerate(("missing", ".", "..", "/", "//x//", "link1", "a/../b/")):
        os.symlink(target, f"link{number}")
        equal(os.readlink(f"link{number}"), target, "target")


@case("symlink/leads-to/{kind}", kind=ALL_KINDS)
def leads_to(kind):
    os.mkdir("dir")
    make(kind, "dir/file")
    for number, target in enumerate(("dir/file", "./dir/../dir/file",
                                     os.path.abspath("dir/file"))):
        os.symlink(target, f"link{number}")
        parent = os.path.dirname(os.readlink(f"link{number}"))
        equal(os.stat(parent).st_ino, os.stat("dir").st_ino, "directory it leads to")
        if kind != "symlink":
            equal(os.stat(f"link{number}").st_ino, os.lstat("dir/file").st_ino, "inode")
        else:
            fails(errno.ENOENT, os.stat, f"link{number}")


@case("symlink/is-relative-to-its-own-directory/symlink")
def relative():
    os.makedirs("a/b")
    write("a/file", b"right")
    write("file", b"wrong")
    os.symlink("../file", "a/b/link")
    equal(read("a/b/link"), b"right", "contents")


@case("symlink/moves-with-its-text/symlink")
def moved():
    os.mkdir("dir")
    write("dir/file", b"below")
    write("file", b"above")
    os.symlink("file", "link")
    os.rename("link", "dir/link")
    equal(read("dir/link"), b"below", "contents")


@case("symlink/chain-of-40-is-followed/symlink")
def long_chain():
    write("file", b"end")
    equal(read(chain(40, "file")), b"end", "contents")


@case("symlink/ELOOP-chain-of-41/symlink")
def longer_chain():
    write("file", b"end")
    fails(errno.ELOOP, read, chain(41, "file"))


@case("symlink/ELOOP-mutual/symlink")
def mutual():
    os.symlink("b", "a")
    os.symlink("a", "b")
    fails(errno.ELOOP, os.stat, "a")
    fails(errno.ELOOP, os.stat, "b/file")


@case("symlink/target-is-untouched/{kind}", kind=ALL_KINDS)
def untouched(kind):
    make(kind, "file")
    with keeps("file", "ctime", "mtime", "nlink", "mode"):
        os.symlink("file", "link")
        os.unlink("link")
    present("file")


@case("symlink/mode-is-777-whatever-the-umask/symlink")
def fixed_mode():
    os.umask(0o077)
    os.symlink("target", "link")
    equal(os.lstat("link").st_mode & 0o777, 0o777, "mode")
