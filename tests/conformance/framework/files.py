# SPDX-License-Identifier: BSD-3-Clause
"""Files of every kind, and what the suite needs to know of the filesystem they are on."""

import ctypes
import errno
import os
import shutil
import stat
import struct

from . import libc
from .checks import Failure, Skip

TYPES = {
    "regular": stat.S_IFREG, "directory": stat.S_IFDIR, "fifo": stat.S_IFIFO,
    "socket": stat.S_IFSOCK, "char": stat.S_IFCHR, "block": stat.S_IFBLK, "symlink": stat.S_IFLNK,
}
ALL_KINDS = tuple(TYPES)
PLAIN_KINDS = tuple(kind for kind in TYPES if kind != "symlink")     # chmod and the like follow
LEAF_KINDS = tuple(kind for kind in TYPES if kind != "directory")    # unlink takes them
OBSTACLES = ("regular", "fifo", "socket", "char", "block")           # no way leads through them
SPECIAL_KINDS = ("fifo", "socket", "char", "block")
TMPFS = 0x01021994   # of statfs
NULL_DEVICE = os.makedev(1, 3)
UNLIKELY_BLOCK_DEVICE = os.makedev(7, 4000)


def make(kind, path, mode=0o644):
    """Makes a file of the kind; the umask of a case is 0, so the mode is exact."""
    if kind == "regular":
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    elif kind == "directory":
        os.mkdir(path, mode | (mode & 0o444) >> 2)
    elif kind == "symlink":
        os.symlink("nowhere", path)
    else:
        make_special(kind, path, mode)
    return path


def make_special(kind, path, mode):
    device = {"char": NULL_DEVICE, "block": UNLIKELY_BLOCK_DEVICE}.get(kind, 0)
    try:
        os.mknod(path, TYPES[kind] | mode, device)
    except PermissionError:
        if device:
            raise Skip(f"may not make a {kind} device") from None
        raise


def remove(path):
    if stat.S_ISDIR(os.lstat(path).st_mode):
        os.rmdir(path)
    else:
        os.unlink(path)


def is_kind(path, kind):
    return stat.S_IFMT(os.lstat(path).st_mode) == TYPES[kind]


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)
    return path


def read(path):
    """What the file shows, which must be what is behind the page cache as well."""
    with open(path, "rb", buffering=0) as file:
        shown = file.readall()
        os.fdatasync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        file.seek(0)
        if file.readall() != shown:
            raise Failure(f"{path} has other contents when it is read past the page cache")
    return shown


def loop(path):
    """A symbolic link to itself."""
    os.symlink(os.path.basename(path), path)
    return path


def chain(count, target, prefix="link"):
    """`count` symbolic links, each to the next, the last to the target: the first one's name."""
    names = [f"{prefix}{number}" for number in range(count)] + [target]
    for name, following in zip(names, names[1:]):
        os.symlink(following, name)
    return names[0]


def padded(path, length):
    """The same path, `length` bytes long: PATH_MAX counts the terminating zero as well."""
    missing = length - len(path)
    return "./" * (missing // 2) + "/" * (missing % 2) + path


def filesystem_type():
    """The magic number of the filesystem: the first word of struct statfs."""
    status = ctypes.create_string_buffer(512)
    libc.call("statfs", ".", status)
    return struct.unpack_from("l", status)[0]


def counts_directory_links():
    """Whether a directory's link count is 2 and one more for each directory in it."""
    os.mkdir("links-probe")
    try:
        return os.lstat("links-probe").st_nlink == 2
    finally:
        os.rmdir("links-probe")


def unlock(descriptor):
    """Makes the directories below one searchable again, however deep they are."""
    for name in os.listdir(descriptor):
        if stat.S_ISDIR(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
            os.chmod(name, 0o700, dir_fd=descriptor)
            inner = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=descriptor)
            unlock(inner)
            os.close(inner)


def remove_tree(path):
    """Removes what a case made, whatever modes it left."""
    os.chmod(path, 0o700)
    if os.geteuid() != 0:
        descriptor = os.open(path, os.O_RDONLY)
        unlock(descriptor)
        os.close(descriptor)
    shutil.rmtree(path)


def unsupported(error):
    return error.errno in (errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOTTY)
