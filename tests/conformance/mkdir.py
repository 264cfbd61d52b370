# SPDX-License-Identifier: BSD-3-Clause
"""mkdir and mkdirat."""

import errno
import os

from .framework import libc
from .framework.apart import ALICE
from .framework.at_rules import AtCall, at_rules
from .framework.checks import Skip, absent, check, equal, fails, mode_is, present
from .framework.creation import Creation, creation_rules
from .framework.enospc import full_case
from .framework.files import OBSTACLES, counts_directory_links, make
from .framework.paths import PathCall, path_rules
from .framework.registry import case

path_rules(PathCall("mkdir", lambda path: os.mkdir(path, 0o755), target=None, follows=False,
                    raw=lambda pointer: libc.call("mkdir", pointer, 0o755), parent=True,
                    kind="directory"))
at_rules(AtCall("mkdir", lambda descriptor, path: libc.call("mkdirat", descriptor, path, 0o755),
                target=None))
creation_rules(Creation("mkdir", os.mkdir, kind="directory"))


@full_case("mkdir/ENOSPC/directory")
def no_space(number):
    os.mkdir(f"dir{number}")


@case("mkdir/new-directory-is-empty/directory")
def empty():
    os.mkdir("dir")
    equal(os.listdir("dir"), [], "names")
    os.rmdir("dir")


@case("mkdir/parent-gains-a-link/directory")
def parent_link():
    if not counts_directory_links():
        raise Skip("directories here do not count their links")
    before = os.stat(".").st_nlink
    os.mkdir("dir")
    equal(os.stat(".").st_nlink, before + 1, "link count of the parent")
    os.mkdir("dir/inner")
    equal(os.stat("dir").st_nlink, 3, "link count of dir")


@case("mkdir/dot-dot-is-the-parent/directory")
def dot_dot():
    os.mkdir("dir")
    os.mkdir("dir/inner")
    equal(os.stat("dir/inner/..").st_ino, os.stat("dir").st_ino, "inode of dir/inner/..")
    equal(os.stat("dir/inner/.").st_ino, os.stat("dir/inner").st_ino, "inode of dir/inner/.")


@case("mkdir/accepts-trailing-slash/directory")
def slash():
    os.mkdir("dir/")
    present("dir")
    os.mkdir("dir/inner//")
    present("dir/inner")


@case("mkdir/EEXIST-{name}/directory", name=("dot", "dot-dot", "root"))
def always_there(name):
    fails(errno.EEXIST, os.mkdir, {"dot": ".", "dot-dot": "..", "root": "/"}[name])


@case("mkdir/EEXIST-trailing-slash/{kind}", kind=("regular", "directory"))
def taken_with_slash(kind):
    make(kind, "file")
    fails(errno.EEXIST, os.mkdir, "file/")


@case("mkdir/ENOENT-below-removed/directory")
def removed_cwd():
    os.mkdir("dir")
    os.chdir("dir")
    os.rmdir("../dir")
    fails(errno.ENOENT, os.mkdir, "inner")


@case("mkdir/sticky-bit-kept/directory")
def sticky():
    os.mkdir("dir", 0o1777)
    mode_is("dir", 0o1777)


@case("mkdir/setid-bits-ignored/directory")
def setid():
    os.mkdir("dir", 0o6755)
    mode_is("dir", 0o755)


@case("mkdir/setgid-inherited-through-levels/directory")
def deep_setgid():
    os.mkdir("dir")
    os.chmod("dir", 0o2755)
    os.mkdir("dir/a", 0o700)
    os.mkdir("dir/a/b", 0o711)
    mode_is("dir/a", 0o2700)
    mode_is("dir/a/b", 0o2711)


@case("mkdir/deeper-than-a-path/directory")
def deep():
    """PATH_MAX limits the words of a call, not the depth of the tree."""
    for _ in range(30):
        os.mkdir("d" * 200)
        os.chdir("d" * 200)
    make("regular", "bottom")
    present("bottom")
    check(os.stat("..").st_ino != os.stat(".").st_ino, "the tree ends early")


@case("mkdir/many-in-one/directory")
def many():
    for number in range(500):
        os.mkdir(f"dir{number}")
    equal(len(os.listdir(".")), 500, "number of names")
    if counts_directory_links():
        equal(os.stat(".").st_nlink, 502, "link count")


@case("mkdir/EACCES-leaves-nothing/directory", root=True)
def refused():
    os.mkdir("dir", 0o755)
    ALICE.fails(errno.EACCES, os.mkdir, "dir/inner")
    absent("dir/inner")
    equal(os.listdir("dir"), [], "names")


@case("mkdir/ENOTDIR-prefix-trailing-slash/{kind}", kind=OBSTACLES)
def through_obstacle(kind):
    make(kind, "file")
    fails(errno.ENOTDIR, os.mkdir, "file/dir/")
