# SPDX-License-Identifier: BSD-3-Clause
"""mknod and mknodat."""

import errno
import os
import stat

from .framework import libc
from .framework.apart import ALICE
from .framework.at_rules import AtCall, at_rules
from .framework.checks import Skip, absent, check, equal, fails, keeps
from .framework.creation import Creation, creation_rules
from .framework.enospc import full_case
from .framework.files import NULL_DEVICE, TYPES, is_kind, make, write
from .framework.paths import PathCall, path_rules
from .framework.registry import case

path_rules(PathCall("mknod", lambda path: os.mknod(path, stat.S_IFIFO | 0o644), target=None,
                    raw=lambda pointer: libc.call("mknod", pointer, stat.S_IFIFO | 0o644, 0),
                    follows=False, parent=True, kind="fifo"))
at_rules(AtCall("mknod", lambda descriptor, path: libc.call(
    "mknodat", descriptor, path, stat.S_IFIFO | 0o644, 0), target=None))
for made in ("regular", "fifo", "socket", "char", "block"):
    creation_rules(Creation(
        "mknod", lambda path, mode, kind=made: make(kind, path, mode) and None
        if kind != "regular" else os.mknod(path, stat.S_IFREG | mode),
        kind=made, exclusive=made == "fifo", privileged=made in ("char", "block")))


@full_case("mknod/ENOSPC/fifo")
def no_space(number):
    os.mknod(f"fifo{number}", stat.S_IFIFO | 0o644)


@case("mknod/EPERM-not-root/{kind}", root=True, kind=("char", "block"))
def not_root(kind):
    with keeps(".", "mtime"):
        ALICE.fails(errno.EPERM, os.mknod, "file", TYPES[kind] | 0o666, NULL_DEVICE)
    absent("file")


@case("mknod/anybody-may/{kind}", root=True, kind=("regular", "fifo", "socket"))
def anybody(kind):
    ALICE.does(os.mknod, "file", TYPES[kind] | 0o640)
    check(is_kind("file", kind), f"not a {kind}")
    equal(os.lstat("file").st_uid, ALICE.uid, "owner")


@case("mknod/keeps-device-number-{number}/{kind}", root=True, kind=("char", "block"),
      number=("1-3", "0-1", "255-255", "256-256", "4095-255", "8-1048575", "259-70000"))
def device_numbers(kind, number):
    major, minor = map(int, number.split("-"))
    try:
        os.mknod("file", TYPES[kind] | 0o600, os.makedev(major, minor))
    except PermissionError:
        raise Skip(f"may not make a {kind} device") from None
    except OSError as error:
        if error.errno == errno.EINVAL and max(major, minor) > 255:
            raise Skip("no room for such a device number") from None
        raise
    device = os.lstat("file").st_rdev
    equal((os.major(device), os.minor(device)), (major, minor), "device number")
    check(is_kind("file", kind), f"not a {kind}")


@case("mknod/device-number-outlives-link-and-rename/{kind}", root=True, kind=("char", "block"))
def device_moves(kind):
    make(kind, "file")
    device = os.lstat("file").st_rdev
    os.rename("file", "moved")
    os.link("moved", "second")
    os.unlink("moved")
    equal(os.lstat("second").st_rdev, device, "device number")


@case("mknod/no-device-number/{kind}", kind=("regular", "fifo", "socket"))
def no_device(kind):
    os.mknod("file", TYPES[kind] | 0o600)
    equal(os.lstat("file").st_rdev, 0, "device number")


@case("mknod/zero-type-is-regular/regular")
def zero_type():
    os.mknod("file", 0o640)
    check(is_kind("file", "regular"), "not a regular file")
    write("file", b"can be written")


@case("mknod/EPERM-directory/directory")
def directory():
    fails((errno.EPERM, errno.EINVAL), os.mknod, "dir", stat.S_IFDIR | 0o755)
    absent("dir")


@case("mknod/EINVAL-unknown-type/{kind}", kind=("symlink", "all-bits"))
def unknown(kind):
    kind_bits = stat.S_IFLNK if kind == "symlink" else stat.S_IFMT(0o170000)
    fails(errno.EINVAL, os.mknod, "file", kind_bits | 0o644)
    absent("file")


@case("mknod/ENOENT-name-with-slash/fifo")
def name_with_slash():
    fails(errno.ENOENT, os.mknod, "fifo/", stat.S_IFIFO | 0o644)
    absent("fifo")
