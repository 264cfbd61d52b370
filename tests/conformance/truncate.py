# SPDX-License-Identifier: BSD-3-Clause
"""truncate."""

import errno
import os

from .framework import libc
from .framework.apart import ALICE
from .framework.checks import equal, fails, keeps
from .framework.files import make, read, write
from .framework.paths import PathCall, path_rules
from .framework.programs import program, start
from .framework.registry import case
from .framework.sizes import Resize, size_rules

path_rules(PathCall("truncate", lambda path: os.truncate(path, 10),
                    raw=lambda pointer: libc.call("truncate", pointer, 10), touches=True))
size_rules(Resize("truncate", os.truncate))


@case("truncate/EACCES-write-{who}/regular", root=True, who=("owner", "group", "other"))
def no_right(who):
    write("file", b"contents")
    os.chown("file", ALICE.uid if who == "owner" else 0, ALICE.gid if who == "group" else 0)
    shift = {"owner": 6, "group": 3, "other": 0}[who]
    os.chmod("file", 0o777 & ~(2 << shift))
    with keeps("file", "size", "mtime", "ctime"):
        ALICE.fails(errno.EACCES, os.truncate, "file", 3)
    os.chmod("file", 2 << shift)
    ALICE.does(os.truncate, "file", 3)
    equal(os.stat("file").st_size, 3, "size")


@case("truncate/EISDIR/directory")
def directory():
    os.mkdir("dir")
    with keeps("dir", "mtime", "ctime", "size"):
        fails(errno.EISDIR, os.truncate, "dir", 0)


@case("truncate/EINVAL/{kind}", kind=("fifo", "socket", "char", "block"))
def special(kind):
    make(kind, "file", 0o666)
    with keeps("file", "mtime", "ctime", "size"):
        fails((errno.EINVAL, errno.EACCES), os.truncate, "file", 0)


@case("truncate/ETXTBSY/regular")
def running_program():
    size = os.stat(program("program")).st_size
    running = start("program")
    try:
        fails(errno.ETXTBSY, os.truncate, "program", 0)
        equal(os.stat("program").st_size, size, "size")
    finally:
        running.kill()
        running.wait()
    os.truncate("program", 0)
    equal(os.stat("program").st_size, 0, "size")


@case("truncate/follows-link/symlink")
def follows():
    write("file", b"contents")
    os.symlink("file", "link")
    os.truncate("link", 3)
    equal(read("file"), b"con", "contents")


@case("truncate/reaches-every-name/regular")
def hard_links():
    write("file", b"contents")
    os.link("file", "second")
    os.truncate("second", 3)
    equal(read("file"), b"con", "contents")


@case("truncate/needs-no-read-permission/regular", root=True)
def write_only():
    write("file", b"contents")
    ALICE.owns("file", 0o200)
    ALICE.does(os.truncate, "file", 1)
    equal(os.stat("file").st_size, 1, "size")
