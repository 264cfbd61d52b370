# SPDX-License-Identifier: BSD-3-Clause
"""libdaxpin of the build folder for Python: include/daxpin/daxpin.h by way of ctypes."""

import contextlib
import ctypes
import os

import pinning
from harness import build_folder

MAP_PREPARE = 1
TRACK_MARKS, TRACK_FINE, TRACK_COARSE, TRACK_WRITE_PROTECT = 1, 2, 3, 4
INFO_DAX, INFO_NO_FSYNC, INFO_SHARED, INFO_WRITABLE, INFO_LIBRARY = 1, 2, 4, 8, 16
NODRAIN, NONTEMPORAL, TEMPORAL, NOFLUSH = 0x1, 0x2, 0x4, 0x20


def load():
    library = ctypes.CDLL(str(build_folder() / "src/client/libdaxpin.so"))
    pointer, size, u64, unsigned = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint64, ctypes.c_uint
    handle = ctypes.POINTER(ctypes.c_void_p)
    for name, result, arguments in (
            ("daxpin_map_new", ctypes.c_int, (handle, ctypes.c_int, u64, size, unsigned)),
            ("daxpin_map_new_reserved", ctypes.c_int,
             (handle, ctypes.c_int, u64, size, size, unsigned)),
            ("daxpin_map_extend", ctypes.c_int, (pointer, ctypes.c_int, size, unsigned)),
            ("daxpin_map_delete", ctypes.c_int, (handle,)),
            ("daxpin_map_get_address", pointer, (pointer,)),
            ("daxpin_map_get_size", size, (pointer,)),
            ("daxpin_map_get_granularity", unsigned, (pointer,)),
            ("daxpin_map_check", ctypes.c_int, (pointer, ctypes.c_int)),
            ("daxpin_persist", ctypes.c_int, (pointer, pointer, size)),
            ("daxpin_deep_flush", ctypes.c_int, (pointer, pointer, size)),
            ("daxpin_memcpy", ctypes.c_int, (pointer, pointer, ctypes.c_char_p, size, unsigned)),
            ("daxpin_memcpy_persist", ctypes.c_int, (pointer, pointer, ctypes.c_char_p, size)),
            ("daxpin_memmove", ctypes.c_int, (pointer, pointer, pointer, size, unsigned)),
            ("daxpin_memset", ctypes.c_int,
             (pointer, pointer, ctypes.c_int, size, unsigned)),
            ("daxpin_memset_persist", ctypes.c_int, (pointer, pointer, ctypes.c_int, size)),
            ("daxpin_dirty_track", ctypes.c_int, (pointer, unsigned)),
            ("daxpin_dirty_mark", ctypes.c_int, (pointer, pointer, size)),
            ("daxpin_sync", ctypes.c_int, (pointer, size, size)),
            ("daxpin_query", ctypes.c_int, (pointer, size, pointer, pointer)),
            ("daxpin_pin", ctypes.c_int, (ctypes.c_int, u64, u64, u64, unsigned)),
            ("daxpin_extend", ctypes.c_int, (ctypes.c_int, u64)),
            ("daxpin_status", ctypes.c_int, (ctypes.c_int, pointer)),
            ("daxpin_errormsg", ctypes.c_char_p, ())):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


LIBRARY = load()


def call(name, *arguments):
    """Calls a function that returns 0 or a negative errno; the latter becomes OSError."""
    failed = getattr(LIBRARY, name)(*arguments)
    if failed != 0:
        raise OSError(-failed, LIBRARY.daxpin_errormsg().decode())


class Map:
    """A mapping; bytes of it are read and written as with a bytearray's slices."""

    def __init__(self, fd, offset=0, length=0, reserve=0, flags=0):
        self.handle = ctypes.c_void_p()
        call("daxpin_map_new_reserved", ctypes.byref(self.handle), fd, offset, length, reserve,
             flags)

    @property
    def address(self):
        return LIBRARY.daxpin_map_get_address(self.handle)

    def __len__(self):
        return LIBRARY.daxpin_map_get_size(self.handle)

    def __getitem__(self, where):
        return ctypes.string_at(self.address + where.start, where.stop - where.start)

    def __setitem__(self, where, data):
        ctypes.memmove(self.address + where.start, data, where.stop - where.start)

    def extend(self, fd, length=0, flags=0):
        call("daxpin_map_extend", self.handle, fd, length, flags)

    @property
    def granularity(self):
        return LIBRARY.daxpin_map_get_granularity(self.handle)

    def check(self, fd):
        call("daxpin_map_check", self.handle, fd)

    def persist(self, offset=0, length=None):
        call("daxpin_persist", self.handle, self.address + offset,
             len(self) - offset if length is None else length)

    def delete(self):
        call("daxpin_map_delete", ctypes.byref(self.handle))


class MapInfo(ctypes.Structure):
    _fields_ = [("address", ctypes.c_uint64), ("length", ctypes.c_uint64),
                ("file_offset", ctypes.c_uint64), ("page_size", ctypes.c_uint64),
                ("flags", ctypes.c_uint32), ("domain", ctypes.c_uint32),
                ("reserved", ctypes.c_uint32 * 8),
                ("path", ctypes.c_char * 4096)]


def query(address, length, room=64):
    infos, count = (MapInfo * room)(), ctypes.c_size_t(room)
    call("daxpin_query", address, length, infos, ctypes.byref(count))
    return infos[:count.value]


@contextlib.contextmanager
def mapped(path, access=os.O_RDWR, **options):
    """A mapping of a file, with the descriptor it was made from closed."""
    fd = pinning.open_direct(path, access)
    try:
        mapping = Map(fd, **options)
    finally:
        os.close(fd)
    try:
        yield mapping
    finally:
        mapping.delete()


def pinned_file(path, size):
    """An empty file of that size, pinned whole."""
    fd = pinning.open_direct(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    os.ftruncate(fd, size)
    call("daxpin_pin", fd, 0, 0, 0, pinning.PREPARE)
    os.close(fd)
    return path
