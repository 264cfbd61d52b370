# SPDX-License-Identifier: BSD-3-Clause
"""removexattr, lremovexattr and fremovexattr."""

import errno
import os

from .framework import libc
from .framework.apart import ALICE
from .framework.at_rules import opened
from .framework.attributes import (NAME, TRUSTED, get, give, names, needs, probe, put,
                                   with_attribute)
from .framework.checks import changes, equal, fails, keeps
from .framework.files import make
from .framework.paths import PathCall, path_rules
from .framework.registry import case

BOTH = ("regular", "directory")

path_rules(PathCall("removexattr", lambda path: os.removexattr(path, NAME), others=probe,
                    ready=give, touches=True,
                    raw=lambda pointer: libc.call("removexattr", pointer, NAME)))


@case("removexattr/removes/{kind}", kind=BOTH)
def removes(kind):
    make(kind, "file")
    needs(NAME, "file")
    put("file", b"1")
    put("file", b"2", NAME + ".other")
    os.removexattr("file", NAME)
    fails(errno.ENODATA, get, "file")
    equal(names("file"), [NAME + ".other"], "names")


@case("removexattr/ENODATA/{kind}", kind=BOTH)
def no_data(kind):
    make(kind, "file")
    needs(NAME, "file")
    with keeps("file", "ctime"):
        fails(errno.ENODATA, os.removexattr, "file", NAME)


@case("removexattr/updates-ctime/{kind}", kind=BOTH)
def updates_ctime(kind):
    make(kind, "file")
    needs(NAME, "file")
    put("file")
    with changes("file", "ctime"), keeps("file", "mtime"):
        os.removexattr("file", NAME)


@case("removexattr/EACCES-without-write/{kind}", root=True, kind=BOTH)
def without_write(kind):
    make(kind, "file")
    needs(NAME, "file")
    put("file")
    os.chmod("file", 0o755)
    ALICE.fails(errno.EACCES, os.removexattr, "file", NAME)
    equal(get("file"), b"value", "value")


@case("removexattr/EPERM-trusted-not-root/{kind}", root=True, kind=BOTH)
def trusted(kind):
    make(kind, "file")
    needs(TRUSTED, "file")
    put("file", b"1", TRUSTED)
    ALICE.owns("file", 0o777)
    ALICE.fails(errno.EPERM, os.removexattr, "file", TRUSTED)
    equal(get("file", TRUSTED), b"1", "value")


@case("removexattr/fremovexattr/{kind}", kind=BOTH)
def by_descriptor(kind):
    make(kind, "file")
    needs(NAME, "file")
    put("file")
    with opened("file", os.O_RDONLY) as descriptor:
        os.removexattr(descriptor, NAME)
    equal(names("file"), [], "names")


@case("removexattr/EFAULT-name/regular")
def bad_name():
    with_attribute("file")
    fails(errno.EFAULT, libc.call, "removexattr", "file", libc.BAD_POINTER)
