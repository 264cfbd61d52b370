# SPDX-License-Identifier: BSD-3-Clause
"""setxattr, lsetxattr and fsetxattr."""

import errno
import os

from .framework import libc
from .framework.apart import ALICE, BOB
from .framework.at_rules import opened
from .framework.attributes import CAPABILITY, NAME, TRUSTED, get, names, needs, probe, put
from .framework.checks import Skip, changes, equal, fails, keeps
from .framework.files import ALL_KINDS, SPECIAL_KINDS, make, write
from .framework.paths import PathCall, path_rules
from .framework.registry import case

BOTH = ("regular", "directory")
SIZES = (0, 1, 100, 255, 256, 1000, 3000, 4096, 16384, 65535, 65536)


path_rules(PathCall("setxattr", lambda path: os.setxattr(path, NAME, b"1"), others=probe,
                    touches=True,
                    raw=lambda pointer: libc.call("setxattr", pointer, NAME, b"1", 1, 0)))
path_rules(PathCall("setxattr", lambda path: os.setxattr(path, NAME, b"1", follow_symlinks=False),
                    others=probe, argument="-lsetxattr", target="directory", follows=False,
                    touches=True))


@case("setxattr/keeps-{size}-bytes/{kind}", size=SIZES, kind=BOTH)
def sizes(size, kind):
    make(kind, "file")
    needs(NAME, "file")
    value = (bytes(range(256)) * 257)[:size]
    try:
        put("file", value)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.E2BIG, errno.ERANGE, errno.EDQUOT) and size > 1000:
            raise Skip(f"no room for {size} bytes") from None
        raise
    equal(get("file"), value, "value")


@case("setxattr/replaces/{kind}", kind=BOTH)
def replaces(kind):
    make(kind, "file")
    needs(NAME, "file")
    for value in (b"first", b"", b"a longer one than before", b"short"):
        put("file", value)
        equal(get("file"), value, "value")
    equal(names("file"), [NAME], "names")


@case("setxattr/any-bytes/{kind}", kind=BOTH)
def any_bytes(kind):
    make(kind, "file")
    needs(NAME, "file")
    put("file", bytes(range(256)))
    equal(get("file"), bytes(range(256)), "value")
    name = "user.conformance \xe4\n\\'"
    put("file", b"odd", name)
    equal(get("file", name), b"odd", "value")


@case("setxattr/trusted/{kind}", root=True, kind=ALL_KINDS)
def trusted(kind):
    make(kind, "file")
    needs(TRUSTED, "file")
    put("file", b"value", TRUSTED)
    equal(get("file", TRUSTED), b"value", "value")
    equal(names("file"), [TRUSTED], "names")


@case("setxattr/security/{kind}", root=True, kind=("regular", "directory", "symlink"))
def security(kind):
    make(kind, "file")
    needs("security.conformance", "file")
    put("file", b"value", "security.conformance")
    equal(get("file", "security.conformance"), b"value", "value")


@case("setxattr/EPERM-user-attribute/{kind}", kind=(*SPECIAL_KINDS, "symlink"))
def not_for_special(kind):
    make("regular", "probe")
    needs(NAME, "probe")
    make(kind, "file")
    fails((errno.EPERM, errno.EOPNOTSUPP), put, "file")
    equal(names("file"), [], "names")


@case("setxattr/EPERM-trusted-not-root/{kind}", root=True, kind=BOTH)
def trusted_not_root(kind):
    make(kind, "file")
    needs(TRUSTED, "file")
    ALICE.owns("file", 0o777)
    ALICE.fails(errno.EPERM, put, "file", b"1", TRUSTED)
    put("file", b"hidden", TRUSTED)
    ALICE.fails(errno.ENODATA, get, "file", TRUSTED)
    equal(ALICE.does(names, "file"), [], "names a user sees")


@case("setxattr/XATTR_CREATE/{kind}", kind=BOTH)
def create(kind):
    make(kind, "file")
    needs(NAME, "file")
    put("file", b"new", flags=os.XATTR_CREATE)
    equal(get("file"), b"new", "value")


@case("setxattr/XATTR_REPLACE/{kind}", kind=BOTH)
def replace(kind):
    make(kind, "file")
    needs(NAME, "file")
    put("file", b"old")
    put("file", b"new", flags=os.XATTR_REPLACE)
    equal(get("file"), b"new", "value")


@case("setxattr/EEXIST/{kind}", kind=BOTH)
def exists(kind):
    make(kind, "file")
    needs(NAME, "file")
    put("file", b"old")
    with keeps("file", "ctime"):
        fails(errno.EEXIST, put, "file", b"new", flags=os.XATTR_CREATE)
    equal(get("file"), b"old", "value")


@case("setxattr/ENODATA/{kind}", kind=BOTH)
def no_data(kind):
    make(kind, "file")
    needs(NAME, "file")
    with keeps("file", "ctime"):
        fails(errno.ENODATA, put, "file", b"new", flags=os.XATTR_REPLACE)
    equal(names("file"), [], "names")


@case("setxattr/EINVAL-flag/regular")
def bad_flag():
    make("regular", "file")
    needs(NAME, "file")
    fails(errno.EINVAL, put, "file", b"1", flags=4)


@case("setxattr/EOPNOTSUPP-{name}/regular", name=("namespace", "no-namespace", "no-name"))
def namespace(name):
    make("regular", "file")
    text = {"namespace": "conformance.x", "no-namespace": "conformance", "no-name": "user."}[name]
    fails((errno.EOPNOTSUPP, errno.EINVAL), put, "file", b"1", text)


@case("setxattr/ERANGE-{name}/regular", name=("empty", "256-bytes"))
def name_range(name):
    make("regular", "file")
    text = "" if name == "empty" else "user." + "n" * 251
    fails(errno.ERANGE, put, "file", b"1", text)


@case("setxattr/accepts-name-of-255-bytes/{kind}", kind=BOTH)
def longest_name(kind):
    make(kind, "file")
    needs(NAME, "file")
    name = "user." + "n" * 250
    put("file", b"value", name)
    equal(get("file", name), b"value", "value")
    equal(name in os.listxattr("file"), True, "name is listed")


@case("setxattr/E2BIG/regular")
def too_big():
    make("regular", "file")
    needs(NAME, "file")
    fails(errno.E2BIG, put, "file", bytes(65537))
    equal(names("file"), [], "names")


@case("setxattr/EFAULT-{what}/regular", what=("name", "value"))
def bad_pointer(what):
    make("regular", "file")
    needs(NAME, "file")
    name, value = (libc.BAD_POINTER, b"1") if what == "name" else (NAME, libc.BAD_POINTER)
    fails(errno.EFAULT, libc.call, "setxattr", "file", name, value, 1, 0)


@case("setxattr/EACCES-without-write/{kind}", root=True, kind=BOTH)
def without_write(kind):
    make(kind, "file")
    needs(NAME, "file")
    os.chmod("file", 0o755)
    ALICE.fails(errno.EACCES, put, "file")
    os.chmod("file", 0o757)
    ALICE.succeeds(put, "file")


@case("setxattr/EPERM-sticky-directory-not-owner/directory", root=True)
def sticky():
    os.mkdir("dir")
    needs(NAME, "dir")
    os.chmod("dir", 0o1777)
    ALICE.fails((errno.EPERM, errno.EACCES), put, "dir")
    os.chown("dir", ALICE.uid, 0)
    ALICE.succeeds(put, "dir")


@case("setxattr/updates-ctime/{kind}", kind=BOTH)
def updates_ctime(kind):
    make(kind, "file")
    needs(NAME, "file")
    with changes("file", "ctime"), keeps("file", "mtime", "atime", "size", "mode"):
        put("file")


@case("setxattr/fifty-at-once/{kind}", kind=BOTH)
def many(kind):
    make(kind, "file")
    needs(NAME, "file")
    for number in range(50):
        put("file", str(number).encode(), f"{NAME}.{number:02}")
    equal(names("file"), [f"{NAME}.{number:02}" for number in range(50)], "names")
    for number in range(50):
        equal(get("file", f"{NAME}.{number:02}"), str(number).encode(), "value")


@case("setxattr/outlives-{change}/regular", change=("rename", "link", "truncate", "write", "chmod"))
def outlives(change):
    write("file", b"contents")
    needs(NAME, "file")
    put("file")
    {"rename": lambda: (os.rename("file", "moved"), os.rename("moved", "file")),
     "link": lambda: (os.link("file", "second"), os.unlink("file"), os.rename("second", "file")),
     "truncate": lambda: os.truncate("file", 0), "write": lambda: write("file", b"other"),
     "chmod": lambda: os.chmod("file", 0o600)}[change]()
    equal(get("file"), b"value", "value")


@case("setxattr/new-file-has-none/{kind}", kind=BOTH)
def fresh(kind):
    """An inode that is used again must not show what its last owner had."""
    for _ in range(20):
        make(kind, "file")
        needs(NAME, "file")
        equal(names("file"), [], "names of a new file")
        put("file")
        (os.rmdir if kind == "directory" else os.unlink)("file")


@case("setxattr/fsetxattr/{kind}", kind=BOTH)
def by_descriptor(kind):
    make(kind, "file")
    needs(NAME, "file")
    with opened("file", os.O_RDONLY) as descriptor:
        os.setxattr(descriptor, NAME, b"value")
        equal(os.getxattr(descriptor, NAME), b"value", "value")
        equal(NAME in os.listxattr(descriptor), True, "name is listed")
        os.unlink("file") if kind == "regular" else os.rmdir("file")
        equal(os.getxattr(descriptor, NAME), b"value", "value after unlink")


@case("setxattr/fsetxattr-EBADF/regular")
def bad_descriptor():
    make("regular", "file")
    fails(errno.EBADF, libc.call, "fsetxattr", -1, NAME, b"1", 1, 0)
    with opened("file", os.O_PATH) as descriptor:
        fails(errno.EBADF, os.setxattr, descriptor, NAME, b"1")


@case("setxattr/ENOSPC-spares-the-others/regular")
def no_space():
    """Some filesystems have little room for the attributes of one file."""
    make("regular", "file")
    needs(NAME, "file")
    for number in range(600):
        try:
            put("file", bytes([number % 256]) * 1000, f"{NAME}.{number}")
        except OSError as error:
            equal(error.errno in (errno.ENOSPC, errno.E2BIG, errno.EDQUOT), True, f"{error}: right")
            for old in range(number):
                equal(get("file", f"{NAME}.{old}"), bytes([old % 256]) * 1000, "value")
            equal(len(names("file")), number, "number of names")
            return
    raise Skip("600 attributes of 1000 bytes still fit")


@case("setxattr/capability-cleared-by-{change}/regular", root=True,
      change=("write", "truncate", "chown", "user-write"))
def capability(change):
    """A program that is changed loses the rights it was given."""
    write("file", b"contents")
    needs("security.capability", "file", CAPABILITY)
    ALICE.owns("file", 0o777)
    put("file", CAPABILITY, "security.capability")
    {"write": lambda: write_over("file"), "truncate": lambda: os.truncate("file", 1),
     "chown": lambda: os.chown("file", BOB.uid, BOB.gid),
     "user-write": lambda: BOB.does(write_over, "file")}[change]()
    fails(errno.ENODATA, get, "file", "security.capability")


def write_over(path):
    with open(path, "r+b", buffering=0) as file:
        file.write(b"x")
