# SPDX-License-Identifier: BSD-3-Clause
"""Checked units, and the B+tree that they make."""

import struct
from dataclasses import dataclass

from checksums import crc32c
from media import BLOCK, require, split

NODE = struct.Struct("<IHHQHHH2x8x")
CHUNK = struct.Struct("<I4sIII")
CHILD = struct.Struct("<QQQ")
SLOT = struct.Struct("<HH")
LEVEL_MAX = 15
CHILDREN_MAX = 169


@dataclass
class Node:
    """entries: of a leaf (key, value), of an inner node (key, child)."""
    block: int
    level: int
    lower: tuple
    upper: tuple
    entries: list

    def child_bounds(self, index):
        lower = self.entries[index][0] if index > 0 else self.lower
        upper = self.entries[index + 1][0] if index + 1 < len(self.entries) else self.upper
        return lower, upper


def check_unit(data, where):
    require(crc32c(data[4:]) == struct.unpack_from("<I", data)[0], f"{where}: wrong checksum")


def check_kind(data, block):
    """For blocks named by the journal: a checked unit of one of the two kinds, in its place."""
    where = f"block {block}, named by the journal"
    check_unit(data, where)
    node = data[4:6] == b"TN" and NODE.unpack_from(data)[3] == block
    require(node or data[4:8] == b"DBMP", f"{where}: neither a node nor a bitmap chunk")


def parse_inner(data, count, where):
    require(1 <= count <= CHILDREN_MAX, f"{where}: {count} children")
    entries = []
    for inode, place, mblock in CHILD.iter_unpack(data[32:32 + CHILD.size * count]):
        index, child = split(mblock)
        require(index == 0 and child != 0, f"{where}: child {index}:{child}")
        entries.append(((inode, place), child))
    return entries


def parse_leaf(data, count, heap, dead, where):
    require(32 + 4 * count <= heap <= BLOCK, f"{where}: heap at {heap}, {count} items")
    entries, used = [], []
    for offset, length in SLOT.iter_unpack(data[32:32 + 4 * count]):
        require(offset % 8 == 0 and offset >= heap and 16 <= length <= 1416
                and offset + length <= BLOCK, f"{where}: slot {offset}, {length}")
        key = struct.unpack_from("<QQ", data, offset)
        entries.append((key, data[offset + 16:offset + length]))
        used.append((offset, offset + length + -length % 8))
    used.sort()
    for (_, end), (start, _) in zip(used, used[1:]):
        require(end <= start, f"{where}: items overlap at {start}")
    require(dead == BLOCK - heap - sum(end - start for start, end in used),
            f"{where}: heap_dead {dead}")
    return entries


def parse_node(data, block, level, lower, upper):
    """A node after all its checks; level None: the root's, unknown before."""
    where = f"node {block}"
    check_unit(data, where)
    _, magic, own_level, own_block, count, heap, dead = NODE.unpack_from(data)
    require(magic == 0x4E54, f"{where}: no tree node")
    require(own_block == block, f"{where}: calls itself {own_block:#x}")
    require(own_level <= LEVEL_MAX and level in (None, own_level), f"{where}: level {own_level}")
    if own_level == 0:
        entries = parse_leaf(data, count, heap, dead, where)
        require(entries or level is None, f"{where}: an empty leaf")
    else:
        require(heap == 0 and dead == 0, f"{where}: an inner node with a heap")
        entries = parse_inner(data, count, where)
    keys = [key for key, _ in entries]
    require(all(a < b for a, b in zip(keys, keys[1:])), f"{where}: keys are not in order")
    bounded = keys if own_level == 0 else keys[1:]  # entry 0 of an inner node is no bound
    require(not keys or keys[0] >= lower, f"{where}: a key below its bounds")
    require(not bounded or upper is None or bounded[-1] < upper, f"{where}: a key above its bounds")
    return Node(block, own_level, lower, upper, entries)


class Tree:
    """Reads nodes through `read_block` (block number -> bytes) and keeps what it has verified."""

    def __init__(self, read_block, root, block_count):
        self.read_block = read_block
        self.root = root
        self.block_count = block_count
        self.nodes = {}

    def node(self, block, level, lower, upper):
        found = self.nodes.get(block)
        if found is None:
            require(block < self.block_count, f"node {block}: beyond the device")
            found = parse_node(self.read_block(block), block, level, lower, upper)
            self.nodes[block] = found
        require((found.lower, found.upper) == (lower, upper), f"node {block}: reached twice")
        return found

    def scan(self, first=(0, 0), end=None):
        """(key, value) of all items from key `first` on, below key `end`, in order."""
        yield from self.scan_node(self.node(self.root, None, (0, 0), None), first, end)

    def scan_node(self, node, first, end):
        if node.level == 0:
            for key, value in node.entries:
                if key >= first and (end is None or key < end):
                    yield key, value
            return
        for index, (_, child) in enumerate(node.entries):
            lower, upper = node.child_bounds(index)
            if (upper is not None and upper <= first) or (end is not None and lower >= end):
                continue
            yield from self.scan_node(self.node(child, node.level - 1, lower, upper), first, end)
