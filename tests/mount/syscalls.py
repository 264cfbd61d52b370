# SPDX-License-Identifier: BSD-3-Clause
"""System calls that Python's library has no name for."""

import ctypes
import mmap
import os

libc = ctypes.CDLL(None, use_errno=True)

AT_FDCWD = -100
RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4
RWF_APPEND = 0x10
MAP_FAILED = ctypes.c_void_p(-1).value
KEEP_SIZE, PUNCH_HOLE, COLLAPSE_RANGE, ZERO_RANGE, INSERT_RANGE = 1, 2, 8, 16, 32


def check(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def rename2(old, new, flags):
    check(libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new),
                         ctypes.c_uint(flags)))


def fallocate(fd, mode, offset, length):
    check(libc.fallocate(fd, ctypes.c_int(mode), ctypes.c_int64(offset), ctypes.c_int64(length)))


def punch(fd, offset, length):
    fallocate(fd, PUNCH_HOLE | KEEP_SIZE, offset, length)


class IoVector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("length", ctypes.c_size_t)]


def append(fd, data):
    """Writes at the end of the file as the kernel knows it, without O_APPEND."""
    check(libc.pwritev2(fd, ctypes.byref(IoVector(data, len(data))), 1, ctypes.c_long(-1),
                        RWF_APPEND))


def load_private(fd, offset, length):
    """Bytes of a private mapping. Unlike Python's own mmap, it does not look at the file's size."""
    libc.mmap.restype = ctypes.c_void_p
    address = libc.mmap(None, ctypes.c_size_t(length), mmap.PROT_READ, mmap.MAP_PRIVATE, fd,
                        ctypes.c_long(offset))
    check(-1 if address == MAP_FAILED else 0)
    data = ctypes.string_at(address, length)
    libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(length))
    return data


def in_child(action):
    """Runs action in a child; returns the errno it failed with, minus the signal, or 0."""
    child = os.fork()
    if child == 0:
        status = 255
        try:
            action()
            status = 0
        except OSError as error:
            status = error.errno or 255
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def as_user(uid, action):
    """in_child(), where the child is uid and nobody else."""
    def as_that_user():
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        action()

    return in_child(as_that_user)
