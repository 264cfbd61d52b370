# SPDX-License-Identifier: BSD-3-Clause
"""The same description of a file twice: as the mount shows it, and as the reader sees it."""

import contextlib
import ctypes
import dataclasses
import hashlib
import os
import stat
import struct

import items
from media import BLOCK

MIB = 1 << 20
WHOLE_MAX = 64 * MIB
WINDOW = 65536
SYS_getdents64 = 217  # x86-64
libc = ctypes.CDLL(None, use_errno=True)


def windows(size):
    """What is compared of a file: all of it, or parts of one that is mostly holes."""
    if size <= WHOLE_MAX:
        return [(0, size)]
    return [(size // 8 * part, WINDOW) for part in range(8)] + [(size - WINDOW, WINDOW)]


def digest(parts):
    total = hashlib.sha256()
    for part in parts:
        total.update(part)
    return total.hexdigest()


# What the mount shows.

def content_of(path, size):
    with open(path, "rb", buffering=0) as file:
        return digest(os.pread(file.fileno(), min(MIB, end - at), at)
                      for start, length in windows(size) for end in (start + length,)
                      for at in range(start, end, MIB))


def extents_of(path):
    """From the attribute: offset, length, device, offset there in bytes, `unwritten`."""
    return os.getxattr(path, "user.daxpin.extents").decode().splitlines()


def describe(path):
    info = os.lstat(path)
    kind = stat.S_IFMT(info.st_mode)
    entry = {name: getattr(info, "st_" + name) for name in (
        "ino", "mode", "uid", "gid", "nlink", "size", "blocks", "atime_ns", "mtime_ns", "ctime_ns")}
    entry["rdev"] = os.major(info.st_rdev), os.minor(info.st_rdev)
    if kind == stat.S_IFLNK:
        entry["target"] = os.fsencode(os.readlink(path))
    if kind == stat.S_IFREG:
        entry["extents"] = extents_of(path)
        entry["content"] = content_of(path, info.st_size)
    names = os.listxattr(path, follow_symlinks=False)
    entry["xattrs"] = {os.fsencode(name): digest([os.getxattr(path, name, follow_symlinks=False)])
                       for name in names}
    return entry


def list_folder(fd, buffer):
    length = libc.syscall(SYS_getdents64, fd, buffer, len(buffer))
    if length < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return length


def cookies_of(path):
    """(cookie, inode number, name) as getdents64(2) lists a directory."""
    found, buffer = [], ctypes.create_string_buffer(1 << 16)
    with open_folder(path) as fd:
        while length := list_folder(fd, buffer):
            at = 0
            while at < length:
                inode, cookie, size, _ = struct.unpack_from("<QqHB", buffer.raw, at)
                name = buffer.raw[at + 19:at + size].split(b"\0")[0]
                found.append((cookie, inode, name))
                at += size
    return [entry for entry in found if entry[2] not in (b".", b"..")]


@contextlib.contextmanager
def open_folder(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


# What the reader sees.

def extent_line(extent):
    line = f"{extent.first * BLOCK} {extent.count * BLOCK} {extent.device} {extent.block * BLOCK}"
    return line + (" unwritten" if extent.unwritten else "")


def truncations(reader):
    """inode number -> first file block that goes, of truncations that recovery will finish."""
    return {work.inode: work.from_block for work in reader.unfinished()
            if work.kind == items.TRUNCATE}


def kept_extents(reader, number, cuts):
    extents = reader.extents(number)
    if number not in cuts:
        return extents
    return [dataclasses.replace(extent, count=min(extent.end, cuts[number]) - extent.first)
            for extent in extents if extent.first < cuts[number]]


def seen(reader, inode, cuts):
    entry = {"ino": inode.number, "mode": inode.mode, "uid": inode.uid, "gid": inode.gid,
             "nlink": inode.link_count, "size": inode.size, "blocks": inode.block_count * 8,
             "atime_ns": inode.atime_ns, "mtime_ns": inode.mtime_ns, "ctime_ns": inode.ctime_ns,
             "rdev": inode.rdev}
    if inode.kind == stat.S_IFLNK:
        entry["target"] = reader.target(inode)
    if inode.kind == stat.S_IFREG:
        extents = kept_extents(reader, inode.number, cuts)
        entry["blocks"] = sum(extent.count for extent in extents) * 8
        entry["extents"] = [extent_line(extent) for extent in extents]
        entry["content"] = digest(reader.read(inode, *window) for window in windows(inode.size))
    entry["xattrs"] = {name: digest([value])
                       for name, value in reader.xattrs(inode.number).items()}
    return entry


def media_tree(reader):
    """path -> what describe() says of it once the volume is mounted."""
    cuts = truncations(reader)
    found = {b".": seen(reader, reader.inode(items.ROOT), cuts)}
    found.update((path, seen(reader, inode, cuts)) for path, inode in reader.walk())
    return found
