# SPDX-License-Identifier: BSD-3-Clause
"""A volume's files: attributes, names, content, all after replay in memory."""

import os
import stat

import items
from checksums import crc32c
from journal import Journal
from media import BLOCK, BOTH, DATA, Damage, FormatError, Volume, require
from tree import Tree, check_kind


class NotFound(FormatError):
    """Nothing is wrong with the media, but it holds no such file."""


class Reader:
    """Opens the devices of a volume, lays the journal over them and looks into the tree."""

    def __init__(self, *paths):
        self.volume = Volume(paths)
        try:
            self.superblock = self.volume.superblock
            self.device = self.volume.devices[0]
            self.journal = Journal(self.device, self.superblock)
            self.overlay = self.journal.overlay(self.device)
            for block, data in self.overlay.items():
                check_kind(data, block)
            self.tree = Tree(self.read_unit, self.superblock.root,
                             self.superblock.devices[0].block_count)
        except Exception:
            self.volume.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.volume.close()

    def read_unit(self, block):
        return self.overlay.get(block) or self.device.read_block(block)

    def values(self, inode, kind):
        """(offset, value) of an inode's items of one type."""
        for (_, place), value in self.tree.scan(items.key(inode, kind), items.key(inode, kind + 1)):
            yield items.split_place(place)[1], value

    def only_item(self, inode, kind, what):
        found = list(self.values(inode, kind))
        require(len(found) == 1 and found[0][0] == 0, f"inode {inode}: no {what}, or several")
        return found[0][1]

    def inode(self, number):
        return items.parse_inode(number, self.only_item(number, items.INODE, "inode item"))

    def entries(self, folder):
        """The entries of a directory, in the order of a listing."""
        return [items.parse_dirent(folder, offset, value, self.superblock.hash_key)
                for offset, value in self.values(folder, items.DIRENT)]

    def follow(self, folder, entry):
        """The inode that an entry leads to."""
        found = self.inode(entry.inode)
        require((found.generation, found.kind) == (entry.generation, entry.kind),
                f"directory {folder}: {entry.name!r} leads to another file {entry.inode}")
        return found

    def find(self, folder, name):
        """The entry of this name, by its hash alone; None if there is none."""
        low = items.hashed(self.superblock.hash_key, name)
        first, end = (items.key(folder, items.DIRENT, offset) for offset in (low, low + 256))
        for (_, place), value in self.tree.scan(first, end):
            entry = items.parse_dirent(folder, items.split_place(place)[1], value,
                                       self.superblock.hash_key)
            if entry.name == name:
                return entry
        return None

    def lookup(self, path):
        """The inode a path of bytes leads to; symbolic links are not followed."""
        current = self.inode(items.ROOT)
        for name in path.split(b"/"):
            if name in (b"", b"."):
                continue
            if current.kind != stat.S_IFDIR:
                raise NotFound(f"{os.fsdecode(path)}: not a directory before {os.fsdecode(name)}")
            if name == b"..":
                current = self.inode(current.parent)
                continue
            entry = self.find(current.number, name)
            if entry is None:
                raise NotFound(f"{os.fsdecode(path)}: no {os.fsdecode(name)}")
            current = self.follow(current.number, entry)
        return current

    def walk(self, folder=items.ROOT, path=b""):
        """(path, inode) of everything that has a name below a directory."""
        for entry in self.entries(folder):
            inode = self.follow(folder, entry)
            yield path + entry.name, inode
            if inode.kind == stat.S_IFDIR:
                yield from self.walk(inode.number, path + entry.name + b"/")

    def extents(self, number):
        found = [items.parse_extent(number, first, value)
                 for first, value in self.values(number, items.EXTENT)]
        for before, after in zip(found, found[1:]):
            require(before.end <= after.first, f"inode {number}: extents overlap")
        for extent in found:
            where = f"inode {number}, extent {extent.first}"
            require(extent.device < len(self.volume.devices), f"{where}: device {extent.device}")
            entry = self.superblock.devices[extent.device]
            require(entry.role in (DATA, BOTH), f"{where}: on a device without data")
            require(0 < extent.block and extent.block + extent.count < entry.block_count,
                    f"{where}: blocks {extent.block} + {extent.count}")
        return found

    def pins(self, number):
        """(first file block, blocks) of each pinned range."""
        return [items.parse_pin(number, first, value)
                for first, value in self.values(number, items.PIN)]

    def read(self, inode, offset=0, length=None):
        """Bytes of a regular file; what lies at or beyond its size does not exist."""
        end = inode.size if length is None else min(offset + length, inode.size)
        content = bytearray(max(end - offset, 0))
        for extent in self.extents(inode.number):
            low, high = max(extent.first * BLOCK, offset), min(extent.end * BLOCK, end)
            if low >= high or extent.unwritten:
                continue
            start = extent.block * BLOCK + low - extent.first * BLOCK
            content[low - offset:high - offset] = self.volume.devices[extent.device].read(
                start, high - low)
        return bytes(content)

    def blob_content(self, blob, where):
        content = blob.content
        if content is None:
            for block in blob.blocks:
                require(block < self.superblock.devices[0].block_count, f"{where}: block {block}")
            content = b"".join(self.device.read_block(block) for block in blob.blocks)
            content = content[:blob.length]
        require(crc32c(content) == blob.crc, f"{where}: wrong checksum")
        return content

    def target(self, inode):
        """What a symbolic link names."""
        where = f"inode {inode.number}: target"
        blob = items.parse_blob(self.only_item(inode.number, items.SYMLINK, "target"), where)
        content = self.blob_content(blob, where)
        require(not blob.name and 1 <= len(content) <= 4095 and len(content) == inode.size
                and 0 not in content, f"{where}: {len(content)} bytes")
        return content

    def xattr_blobs(self, number):
        for offset, value in self.values(number, items.XATTR):
            where = f"inode {number}: attribute {offset:#x}"
            blob = items.parse_blob(value, where)
            require(blob.name and 0 not in blob.name
                    and offset & ~0xFF == items.hashed(self.superblock.hash_key, blob.name),
                    f"{where}: name {blob.name!r}")
            yield blob, where

    def xattrs(self, number):
        """name -> value of the extended attributes."""
        found = {}
        for blob, where in self.xattr_blobs(number):
            require(blob.name not in found, f"{where}: {blob.name!r} twice")
            found[blob.name] = self.blob_content(blob, where)
        return found

    def unfinished(self):
        return [items.parse_work(number, value)
                for number, value in self.values(items.WORK_TABLE, items.UNFINISHED)]

    def bad_blocks(self):
        return [items.parse_bad_block(offset, value)
                for offset, value in self.values(items.BAD_TABLE, items.BAD)]

    def quarantine(self):
        return [items.parse_quarantined(offset, value)
                for offset, value in self.values(items.QUARANTINE_TABLE, items.QUARANTINE)]


__all__ = ["Damage", "FormatError", "NotFound", "Reader"]
