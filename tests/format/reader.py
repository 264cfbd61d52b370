#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Reads a daxpin volume that is not mounted; written from docs/format.md alone.

Lists a directory or shows a file: its attributes, extended attributes and extents. The journal is
laid over the volume in memory; the devices are opened for reading only.
"""

import argparse
import dataclasses
import datetime
import os
import stat
import sys
import uuid

import items
from check import check
from media import BLOCK, ROLES, FormatError
from volume import Reader

EPOCH = datetime.datetime(1970, 1, 1)


def show_bytes(name):
    """Text that is safe on a terminal."""
    text = name.decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def show_time(nanoseconds):
    seconds, rest = divmod(nanoseconds, 10**9)
    return f"{(EPOCH + datetime.timedelta(seconds=seconds)).isoformat()}.{rest:09d}Z"


def show_value(name, value):
    if name.endswith("_ns"):
        return show_time(value)
    if name in ("volume_uuid", "device_uuid", "lease_boot"):
        return str(uuid.UUID(bytes=value))
    if name == "role":
        return ROLES[value]
    if name == "text":
        return show_bytes(value.rstrip(b"\0"))
    if name == "hash_key":
        return value.hex()
    return str(value)


def print_superblock(reader):
    fields = dataclasses.asdict(reader.superblock)
    devices = fields.pop("devices")
    for name, value in fields.items():
        print(f"{name:<16} {show_value(name, value)}")
    for index, entry in enumerate(devices):
        print(f"device {index}")
        for name, value in entry.items():
            print(f"  {name:<14} {show_value(name, value)}")
    journal = reader.journal
    print(f"journal: {len(journal.records)} records from {journal.cell.tail} to {journal.stop}")


def print_folder(reader, folder):
    for entry in reader.entries(folder.number):
        inode = reader.follow(folder.number, entry)
        size = f"{inode.rdev[0]},{inode.rdev[1]}" if inode.raw_rdev else inode.size
        line = (f"{inode.number:>8} {stat.filemode(inode.mode)} {inode.link_count:>4} "
                f"{inode.uid:>6} {inode.gid:>6} {size:>12} {show_time(inode.mtime_ns)} "
                f"{show_bytes(entry.name)}")
        if inode.kind == stat.S_IFLNK:
            line += f" -> {show_bytes(reader.target(inode))}"
        print(line)


def print_file(reader, inode):
    fields = dataclasses.asdict(inode)
    fields["mode"] = f"{inode.mode:07o} {stat.filemode(inode.mode)}"
    fields["flags"] = " ".join(text for bit, text in items.FLAGS.items() if inode.flags & bit) or 0
    fields["rdev"] = f"{inode.rdev[0]},{inode.rdev[1]}"
    del fields["raw_rdev"]
    for name, value in fields.items():
        print(f"{name:<12} {show_value(name, value)}")
    if inode.kind == stat.S_IFLNK:
        print(f"{'target':<12} {show_bytes(reader.target(inode))}")
    for name, value in reader.xattrs(inode.number).items():
        text = show_bytes(value[:64]) + ("..." if len(value) > 64 else "")
        print(f"attribute    {show_bytes(name)}: {len(value)} bytes: {text}")
    for first, count in reader.pins(inode.number):
        print(f"pin          {first * BLOCK} + {count * BLOCK}")
    for extent in reader.extents(inode.number):
        print(f"extent       {extent.first * BLOCK} + {extent.count * BLOCK} at "
              f"{extent.device}:{extent.block}{' unwritten' if extent.unwritten else ''}")


def print_content(reader, inode):
    for offset in range(0, inode.size, 1 << 20):
        sys.stdout.buffer.write(reader.read(inode, offset, 1 << 20))


def show(arguments):
    with Reader(arguments.image, *arguments.device) as reader:
        if arguments.superblock:
            print_superblock(reader)
            return
        if arguments.check:
            print(f"clean: {check(reader)} inodes")
            return
        inode = reader.lookup(os.fsencode(arguments.path))
        if inode.kind == stat.S_IFDIR and not arguments.attributes:
            print_folder(reader, inode)
        elif inode.kind == stat.S_IFREG and arguments.content:
            print_content(reader, inode)
        else:
            print_file(reader, inode)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", metavar="IMAGE", help="a device of the volume")
    parser.add_argument("path", metavar="PATH", nargs="?", default="/", help="default: the root")
    parser.add_argument("--device", metavar="IMAGE2", action="append", default=[],
                        help="another device of the volume; repeatable")
    parser.add_argument("--superblock", action="store_true", help="print the superblock")
    parser.add_argument("--check", action="store_true", help="check the tree and the bitmaps")
    parser.add_argument("--attributes", action="store_true", help="of a directory, too")
    parser.add_argument("--content", action="store_true", help="print a file's bytes")
    try:
        show(parser.parse_intermixed_args())
    except (FormatError, OSError) as error:
        print(f"reader: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
