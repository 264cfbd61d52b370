# SPDX-License-Identifier: BSD-3-Clause
"""The values of the tree's items, each refused if it is not as docs/format.md says."""

import stat
import struct
from dataclasses import dataclass

from checksums import siphash24
from media import is_power_of_two, require

INODE, DIRENT, XATTR, SYMLINK, EXTENT, PIN, QUARANTINE, UNFINISHED, BAD = range(1, 10)
ROOT, WORK_TABLE, BAD_TABLE, QUARANTINE_TABLE, FIRST_FILE = 1, 2, 3, 4, 16
REMOVE, TRUNCATE = 1, 2
BAD_ACCESS, BAD_REPLY, BAD_DEVICE = 1, 2, 3
DAX, PINNED_WHOLE = 16, 32
FLAGS = {1: "immutable", 2: "append", 4: "noatime", 8: "nodump", DAX: "dax",
         PINNED_WHOLE: "pinned_whole"}
INODE_VALUE = struct.Struct("<QIIIIQQqqqqIIQQ16s48x")
DIRENT_VALUE = struct.Struct("<QQHH4x")
BLOB_VALUE = struct.Struct("<IIHH4x")
EXTENT_VALUE = struct.Struct("<QII")
UNFINISHED_VALUE = struct.Struct("<QQI4x")
BAD_VALUE = struct.Struct("<qII")
QUARANTINE_VALUE = struct.Struct("<16sQQI4x")
INLINE_MAX = 1024
TYPES = (stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR, stat.S_IFBLK, stat.S_IFREG, stat.S_IFLNK,
         stat.S_IFSOCK)


def key(inode, kind, offset=0):
    return inode, kind << 60 | offset


def split_place(place):
    return place >> 60, place & (1 << 60) - 1


def hashed(hash_key, name):
    """The part of an offset that the name determines."""
    return (siphash24(hash_key, name) >> 12 or 1) << 8


@dataclass
class Inode:
    number: int
    generation: int
    mode: int
    uid: int
    gid: int
    link_count: int
    size: int
    block_count: int
    atime_ns: int
    mtime_ns: int
    ctime_ns: int
    btime_ns: int
    raw_rdev: int
    flags: int
    parent: int
    align_hint: int
    lease_boot: bytes

    @property
    def kind(self):
        return stat.S_IFMT(self.mode)

    @property
    def rdev(self):
        """Major and minor number."""
        return self.raw_rdev >> 8 & 0xFFF, self.raw_rdev & 0xFF | self.raw_rdev >> 12 & 0xFFF00

    def check(self):
        where = f"inode {self.number}"
        require(self.mode < 0o200000 and self.kind in TYPES, f"{where}: mode {self.mode:#o}")
        require(self.size < 1 << 63, f"{where}: size {self.size}")
        require(not self.flags & ~sum(FLAGS), f"{where}: flags {self.flags:#x}")
        regular, folder = self.kind == stat.S_IFREG, self.kind == stat.S_IFDIR
        require(not self.flags & DAX or regular or folder, f"{where}: flag dax")
        require(not self.flags & PINNED_WHOLE or regular, f"{where}: flag pinned_whole")
        require(regular or self.block_count == 0, f"{where}: block_count {self.block_count}")
        require(self.raw_rdev == 0 or self.kind in (stat.S_IFCHR, stat.S_IFBLK), f"{where}: rdev")
        require(folder == (self.parent != 0), f"{where}: parent {self.parent}")
        require(regular or folder or self.kind == stat.S_IFLNK or self.size == 0, f"{where}: size")
        require(self.align_hint == 0 or is_power_of_two(self.align_hint), f"{where}: align_hint")


def parse_inode(number, value):
    require(len(value) == INODE_VALUE.size, f"inode {number}: {len(value)} bytes")
    inode = Inode(number, *INODE_VALUE.unpack(value))
    inode.check()
    return inode


@dataclass
class Dirent:
    cookie: int
    inode: int
    generation: int
    kind: int
    name: bytes


def parse_dirent(folder, cookie, value, hash_key):
    where = f"directory {folder}, entry {cookie:#x}"
    require(len(value) > DIRENT_VALUE.size, f"{where}: {len(value)} bytes")
    inode, generation, length, kind = DIRENT_VALUE.unpack_from(value)
    name = value[DIRENT_VALUE.size:]
    require(len(name) == length <= 255, f"{where}: name_length {length}")
    require(FIRST_FILE <= inode < 1 << 60, f"{where}: inode {inode}")
    require(kind << 12 in TYPES, f"{where}: type {kind}")
    require(not {b"/"[0], 0} & set(name) and name not in (b".", b".."), f"{where}: name {name!r}")
    require(cookie & ~0xFF == hashed(hash_key, name), f"{where}: not the hash of {name!r}")
    return Dirent(cookie, inode, generation, kind << 12, name)


@dataclass
class Blob:
    """content: of an inline one; else the blocks that hold it."""
    name: bytes
    length: int
    crc: int
    content: bytes
    blocks: tuple


def parse_blob(value, where):
    require(len(value) >= BLOB_VALUE.size, f"{where}: {len(value)} bytes")
    length, crc, name_length, block_count = BLOB_VALUE.unpack_from(value)
    require(length <= 65536 and name_length <= 255, f"{where}: lengths {length}, {name_length}")
    require(block_count == (0 if length <= INLINE_MAX else -(-length // 4096)),
            f"{where}: {block_count} blocks for {length} bytes")
    name = value[16:16 + name_length]
    rest = value[16 + name_length:]
    if block_count == 0:
        require(len(rest) == length, f"{where}: {len(value)} bytes")
        return Blob(name, length, crc, rest, ())
    padding = -name_length % 8
    require(len(rest) == padding + 8 * block_count, f"{where}: {len(value)} bytes")
    require(not any(rest[:padding]), f"{where}: padding of the name")
    blocks = struct.unpack_from(f"<{block_count}Q", rest, padding)
    require(all(0 < block < 1 << 48 for block in blocks), f"{where}: blocks {blocks}")
    return Blob(name, length, crc, None, blocks)


@dataclass
class Extent:
    first: int
    device: int
    block: int
    count: int
    unwritten: bool

    @property
    def end(self):
        return self.first + self.count


def parse_extent(inode, first, value):
    where = f"inode {inode}, extent {first}"
    require(len(value) == EXTENT_VALUE.size, f"{where}: {len(value)} bytes")
    media, count, flags = EXTENT_VALUE.unpack(value)
    require(count > 0 and first + count <= 1 << 51, f"{where}: {count} blocks")
    require(flags in (0, 1), f"{where}: flags {flags:#x}")
    return Extent(first, media >> 48, media & (1 << 48) - 1, count, flags == 1)


def parse_pin(inode, first, value):
    """First file block and number of blocks."""
    where = f"inode {inode}, pin {first}"
    require(len(value) == 8, f"{where}: {len(value)} bytes")
    count = int.from_bytes(value, "little")
    require(count > 0 and first + count <= 1 << 52, f"{where}: {count} blocks")
    return first, count


@dataclass
class Work:
    inode: int
    generation: int
    from_block: int
    kind: int


def parse_work(number, value):
    require(len(value) == UNFINISHED_VALUE.size, f"unfinished {number}: {len(value)} bytes")
    work = Work(number, *UNFINISHED_VALUE.unpack(value))
    require(number >= FIRST_FILE and work.kind in (REMOVE, TRUNCATE),
            f"unfinished {number}: kind {work.kind}")
    return work


@dataclass
class BadBlock:
    device: int
    block: int
    found_ns: int
    source: int
    unowned: bool


def parse_bad_block(offset, value):
    where = f"bad block {offset:#x}"
    require(len(value) == BAD_VALUE.size, f"{where}: {len(value)} bytes")
    found_ns, source, flags = BAD_VALUE.unpack(value)
    require(source in (BAD_ACCESS, BAD_REPLY, BAD_DEVICE), f"{where}: source {source}")
    require(flags in (0, 1), f"{where}: flags {flags:#x}")
    return BadBlock(offset >> 48, offset & (1 << 48) - 1, found_ns, source, flags == 1)


@dataclass
class Quarantined:
    device: int
    block: int
    boot: bytes
    inode: int
    generation: int
    count: int


def parse_quarantined(offset, value):
    where = f"quarantine {offset:#x}"
    require(len(value) == QUARANTINE_VALUE.size, f"{where}: {len(value)} bytes")
    boot, inode, generation, count = QUARANTINE_VALUE.unpack(value)
    require(count > 0, f"{where}: no blocks")
    require(FIRST_FILE <= inode < 1 << 60, f"{where}: inode {inode}")
    require(any(boot), f"{where}: no boot")
    return Quarantined(offset >> 48, offset & (1 << 48) - 1, boot, inode, generation, count)
