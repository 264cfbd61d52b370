# SPDX-License-Identifier: BSD-3-Clause
"""System calls as the C library has them, for what the os module lacks or will not pass on:
bad pointers, unknown flags, RENAME_EXCHANGE, fallocate modes.

Every function here raises OSError with the errno. int becomes a 64-bit argument, str and bytes a
string; BAD_POINTER points nowhere.
"""

import ctypes
import os

LIBRARY = ctypes.CDLL(None, use_errno=True)
BAD_POINTER = ctypes.c_void_p(16)

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
AT_REMOVEDIR = 0x200
AT_SYMLINK_FOLLOW = 0x400
AT_EMPTY_PATH = 0x1000
CLONE_NEWNS = 0x20000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_SLAVE = 1, 32, 4096, 16384, 1 << 19
RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_COLLAPSE_RANGE = 1, 2, 8
FALLOC_ZERO_RANGE, FALLOC_INSERT_RANGE = 16, 32


def argument(value):
    if isinstance(value, int):
        return ctypes.c_long(value)
    if isinstance(value, (str, bytes)):
        return ctypes.c_char_p(os.fsencode(value))
    return value


def call(name, *arguments):
    """Calls the C function; its result, or OSError."""
    function = getattr(LIBRARY, name)
    returns_size = name in SIZE_FUNCTIONS
    function.restype = ctypes.c_ssize_t if returns_size else ctypes.c_int
    ctypes.set_errno(0)
    result = function(*map(argument, arguments))
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


# What returns ssize_t. All others return int, which leaves half of the register undefined.
SIZE_FUNCTIONS = frozenset("""
    copy_file_range fgetxattr flistxattr getdents64 getxattr lgetxattr listxattr llistxattr pread
    pwrite read readlink readlinkat write
""".split())


def unshare(flags):
    call("unshare", flags)


def mount(source, target, kind, flags):
    call("mount", source or "none", target, kind, flags, None)


def umount(target):
    call("umount2", target, 0)


class Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


def utimensat(directory, path, times, flags=0):
    """times: ((atime seconds, nanoseconds), (mtime seconds, nanoseconds)) or None: now."""
    pair = (Timespec * 2)(*(Timespec(*time) for time in times)) if times else None
    call("utimensat", directory, path, pair, flags)


def renameat2(source, target, flags, source_directory=AT_FDCWD, target_directory=AT_FDCWD):
    call("renameat2", source_directory, source, target_directory, target, flags)


def fallocate(descriptor, mode, offset, length):
    call("fallocate", descriptor, mode, offset, length)


def mmap(length, protection, flags, descriptor):
    """The address of a new mapping, which lasts as long as the process."""
    LIBRARY.mmap.restype = ctypes.c_void_p
    ctypes.set_errno(0)
    address = LIBRARY.mmap(None, ctypes.c_size_t(length), protection, flags, descriptor,
                           ctypes.c_long(0))
    if address == ctypes.c_void_p(-1).value:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return address
