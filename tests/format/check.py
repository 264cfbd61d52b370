# SPDX-License-Identifier: BSD-3-Clause
"""What docs/format.md lets a checker assert of a volume's tree and bitmaps."""

import stat

import items
from media import BLOCK, BOTH, DATA, GROUP_BLOCKS, require
from tree import CHUNK, check_unit

ITEM_TYPES = (items.INODE, items.DIRENT, items.XATTR, items.SYMLINK, items.EXTENT, items.PIN)


class Owners:
    """Which blocks of a device have an owner; none has two."""

    def __init__(self, block_count, name):
        self.used = bytearray(block_count)
        self.name = name

    def take(self, first, count, owner):
        require(first + count <= len(self.used), f"{owner}: beyond {self.name}")
        require(not any(self.used[first:first + count]), f"{owner}: {self.name}, blocks {first} + "
                f"{count} have another owner")
        self.used[first:first + count] = b"\1" * count


def check(reader):
    """Raises Damage at the first contradiction; returns the number of inodes."""
    superblock = reader.superblock
    owners = [Owners(entry.block_count, f"device {index}")
              for index, entry in enumerate(superblock.devices)]
    for name, first, count in superblock.fixed_runs():
        if name != "root":
            owners[0].take(first, count, name)
    for device in owners[1:]:
        device.take(0, 1, "label")
        device.take(len(device.used) - 1, 1, "label copy")
    kinds = {}
    for (number, place), _ in reader.tree.scan():
        kinds.setdefault(number, set()).add(place >> 60)
    for block in reader.tree.nodes:
        owners[0].take(block, 1, f"node {block}")
    unfinished = {work.inode: work for work in reader.unfinished()}
    require(kinds.pop(items.WORK_TABLE, {items.UNFINISHED}) == {items.UNFINISHED},
            "inode 2 has items that are not unfinished work")
    require(kinds.pop(items.BAD_TABLE, {items.BAD}) == {items.BAD},
            "inode 3 has items that are not bad blocks")
    require(kinds.pop(items.QUARANTINE_TABLE, {items.QUARANTINE}) == {items.QUARANTINE},
            "inode 4 has items that are not quarantined blocks")
    inodes = {number: check_inode(reader, number, found, owners)
              for number, found in kinds.items()}
    check_names(reader, inodes, unfinished)
    check_quarantine(reader, owners)
    check_bad_blocks(reader, owners)
    for index, device in enumerate(owners):
        check_bitmaps(reader, index, device)
    return len(inodes)


def check_inode(reader, number, found, owners):
    require(number == items.ROOT or items.FIRST_FILE <= number < 1 << 60, f"inode {number}")
    require(items.INODE in found and found <= set(ITEM_TYPES), f"inode {number}: items {found}")
    inode = reader.inode(number)
    where = f"inode {number}"
    require(items.DIRENT not in found or inode.kind == stat.S_IFDIR, f"{where}: has entries")
    require(not found & {items.EXTENT, items.PIN} or inode.kind == stat.S_IFREG,
            f"{where}: has extents or pins")
    if inode.kind == stat.S_IFLNK and inode.link_count:
        reader.target(inode)
    require(items.SYMLINK not in found or inode.kind == stat.S_IFLNK, f"{where}: has a target")
    extents = reader.extents(number)
    for extent in extents:
        owners[extent.device].take(extent.block, extent.count, f"{where}, extent {extent.first}")
    require(inode.block_count == sum(extent.count for extent in extents), f"{where}: block_count")
    check_pins(reader, inode, extents)
    reader.xattrs(number)
    blobs = [blob for blob, _ in reader.xattr_blobs(number)]
    blobs += [items.parse_blob(value, where) for _, value in reader.values(number, items.SYMLINK)]
    for blob in blobs:
        for block in blob.blocks:
            owners[0].take(block, 1, f"{where}, blob")
    return inode


def check_pins(reader, inode, extents):
    pins = reader.pins(inode.number)
    where = f"inode {inode.number}"
    for (first, count), (start, _) in zip(pins, pins[1:]):
        require(first + count < start, f"{where}: pins touch at {start}")
    for first, count in pins:
        at = first
        for extent in extents:
            if extent.first <= at < extent.end and not extent.unwritten:
                at = extent.end
        require(at >= first + count, f"{where}: pinned block {at} is not covered")
    if inode.flags & items.PINNED_WHOLE:
        require(pins and pins[0][0] == 0 and pins[0][1] * BLOCK >= inode.size,
                f"{where}: pinned_whole, but the pin does not cover the file")


def check_names(reader, inodes, unfinished):
    """Entries lead to inodes, link counts are right, parents lead to the root."""
    named, folders = {}, {}
    for number, inode in inodes.items():
        entries = reader.entries(number) if inode.kind == stat.S_IFDIR else []
        require(inode.kind != stat.S_IFDIR or len(entries) == inode.size, f"inode {number}: size")
        require(len({entry.name for entry in entries}) == len(entries),
                f"directory {number}: a name twice")
        for entry in entries:
            require(entry.inode in inodes, f"directory {number}: {entry.name!r} leads nowhere")
            target = reader.follow(number, entry)
            named[target.number] = named.get(target.number, 0) + 1
            if target.kind == stat.S_IFDIR:
                require(target.parent == number, f"inode {target.number}: parent")
                folders[number] = folders.get(number, 0) + 1
    for number, inode in inodes.items():
        removed = number in unfinished and unfinished[number].kind == items.REMOVE
        require((inode.link_count == 0) == removed, f"inode {number}: removed, or not")
        links = named.get(number, 0)
        if inode.kind == stat.S_IFDIR and not removed:
            require(links == (number != items.ROOT), f"directory {number}: {links} names")
            links = 2 + folders.get(number, 0)
        require(inode.link_count == links, f"inode {number}: link_count {inode.link_count}")
    for number, work in unfinished.items():
        require(number in inodes and inodes[number].generation == work.generation,
                f"unfinished {number}: no such inode")
    for number in [number for number, inode in inodes.items() if inode.kind == stat.S_IFDIR]:
        check_parents(inodes, number)


def check_quarantine(reader, owners):
    for entry in reader.quarantine():
        where = f"quarantine {entry.device}:{entry.block}"
        require(entry.device < len(owners), f"{where}: not on a device")
        require(reader.superblock.devices[entry.device].role in (DATA, BOTH),
                f"{where}: on a device without data")
        owners[entry.device].take(entry.block, entry.count, where)


def check_bad_blocks(reader, owners):
    """What nobody else owns is the list's, so that nobody gets it."""
    for bad in reader.bad_blocks():
        where = f"bad block {bad.device}:{bad.block}"
        require(bad.device < len(owners) and bad.block < len(owners[bad.device].used),
                f"{where}: not on a device")
        owned = owners[bad.device].used[bad.block]
        require(not (owned and bad.unowned), f"{where}: listed as nobody's, but in use")
        if not owned:
            owners[bad.device].take(bad.block, 1, where)


def check_parents(inodes, number):
    seen = set()
    while number != items.ROOT:
        require(number in inodes and number not in seen, f"directory {number}: not below the root")
        seen.add(number)
        number = inodes[number].parent
    require(inodes[number].parent == items.ROOT, "the root's parent")


def check_bitmaps(reader, index, owners):
    entry = reader.superblock.devices[index]
    for group in range(entry.group_count):
        where = f"bitmap chunk {group} of device {index}"
        data = reader.read_unit(entry.bitmap_start + group)
        check_unit(data, where)
        _, magic, device, own_group, free = CHUNK.unpack_from(data)
        require((magic, device, own_group) == (b"DBMP", index, group), f"{where}: its header")
        bits = int.from_bytes(data[64:], "little")
        used = owners.used[group * GROUP_BLOCKS:(group + 1) * GROUP_BLOCKS]
        used += b"\1" * (GROUP_BLOCKS - len(used))
        wanted = int(used[::-1].translate(bytes([48, 49]) + bytes(254)).decode(), 2)
        difference = bits ^ wanted
        if difference:
            first = (difference & -difference).bit_length() - 1
            state = "set" if bits >> first & 1 else "clear"
            require(False, f"{where}: block {group * GROUP_BLOCKS + first} is {state}")
        require(free == GROUP_BLOCKS - bits.bit_count(), f"{where}: free_count {free}")
