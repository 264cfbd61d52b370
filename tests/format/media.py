# SPDX-License-Identifier: BSD-3-Clause
"""Devices, labels, the superblock, and a volume put together from its devices."""

import os
import struct
import uuid
from dataclasses import dataclass

from checksums import crc32c

BLOCK = 4096
GROUP_BLOCKS = (BLOCK - 64) * 8
METADATA, DATA, BOTH = 1, 2, 3
ROLES = {METADATA: "metadata", DATA: "data", BOTH: "both"}
LABEL = struct.Struct("<QII16s16sHHIQQq64s")
SUPERBLOCK = struct.Struct("<QIIQQQ16sIH2xQQQQQ16sq64s")
TABLE_ENTRY = struct.Struct("<16sQQIIQ16x")


class FormatError(Exception):
    """The media cannot be read as a volume."""


class Damage(FormatError):
    """Something on media contradicts the format."""


class Refused(FormatError):
    """Nothing is damaged, but this reader must not go on: another version, a missing device."""


def require(condition, text):
    if not condition:
        raise Damage(text)


def split(mblock):
    """A media block: device index, block number."""
    return mblock >> 48, mblock & (1 << 48) - 1


def is_power_of_two(number):
    return number > 0 and number & number - 1 == 0


class Device:
    """One device file, opened for reading only."""

    def __init__(self, path):
        self.path = os.fspath(path)
        self.file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.lseek(self.file, 0, os.SEEK_END)

    def close(self):
        os.close(self.file)

    def read(self, offset, length):
        parts = []
        while length > 0:
            try:
                part = os.pread(self.file, length, offset)
            except OSError as error:
                raise Damage(f"{self.path}: byte {offset}: {error.strerror}") from error
            require(part, f"{self.path}: ends before byte {offset + length}")
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)

    def read_block(self, block):
        return self.read(block * BLOCK, BLOCK)


def crc_holds(data):
    return crc32c(data[:8] + bytes(4) + data[12:]) == struct.unpack_from("<I", data, 8)[0]


@dataclass
class Label:
    volume_uuid: bytes
    device_uuid: bytes
    index: int
    device_count: int
    role: int
    block_count: int
    mapping_unit: int
    created_ns: int
    text: bytes

    def is_legal(self):
        roles = (BOTH,) if self.device_count == 1 else (DATA if self.index else METADATA,)
        return (1 <= self.device_count <= 16 and self.index < self.device_count
                and self.role in roles and self.block_count >= 2
                and self.mapping_unit >= BLOCK and is_power_of_two(self.mapping_unit))


def parse_label(data, where):
    """The label if this copy is valid, else None; another version is refused."""
    magic, _, version, *rest = LABEL.unpack_from(data)
    if magic != 0x31424C4E49505844 or not crc_holds(data[:256]):
        return None
    if version != 1:
        raise Refused(f"{where}: format version {version}, this reader knows 1")
    label = Label(*rest)
    return label if label.is_legal() else None


def read_label(device):
    """The ruling label of a device."""
    blocks = device.size // BLOCK
    if blocks < 2:
        raise Damage(f"{device.path}: {device.size} bytes are no volume")
    label = parse_label(device.read(0, 256), f"{device.path}: label")
    if label is None:
        label = parse_label(device.read((blocks - 1) * BLOCK, 256), f"{device.path}: label copy")
        if label is None or label.block_count != blocks:
            raise Damage(f"{device.path}: no valid device label")
    if label.block_count > blocks:
        raise Damage(f"{device.path}: cut off: {blocks} blocks of {label.block_count}")
    return label


@dataclass
class TableEntry:
    device_uuid: bytes
    block_count: int
    mapping_unit: int
    role: int
    group_count: int
    bitmap_start: int


@dataclass
class Superblock:
    compat: int
    ro_compat: int
    incompat: int
    volume_uuid: bytes
    block_bytes: int
    device_count: int
    ring_start: int
    ring_blocks: int
    tail_cell_a: int
    tail_cell_b: int
    root: int
    hash_key: bytes
    created_ns: int
    text: bytes
    devices: list

    def fixed_runs(self):
        """(name, first block, blocks) of all that has a fixed place on device 0."""
        last = self.devices[0].block_count - 1
        runs = [("label", 0, 1), ("label copy", last, 1),
                ("tail cell A", self.tail_cell_a, 1), ("tail cell B", self.tail_cell_b, 1),
                ("ring", self.ring_start, self.ring_blocks), ("root", self.root, 1)]
        for index, entry in enumerate(self.devices):
            runs.append((f"bitmaps of device {index}", entry.bitmap_start, entry.group_count))
        return sorted(runs, key=lambda run: run[1])

    def check(self):
        require(self.ring_blocks >= 32, f"superblock: a ring of {self.ring_blocks} blocks")
        for index, entry in enumerate(self.devices):
            require(2 < entry.block_count < 1 << 48, f"superblock: size of device {index}")
            require(entry.group_count == -(-entry.block_count // GROUP_BLOCKS),
                    f"superblock: group_count of device {index}")
        runs = self.fixed_runs()
        for (name, start, length), (other, next_start, _) in zip(runs, runs[1:]):
            require(start + length <= next_start, f"superblock: {name} overlaps {other}")
        require(runs[-1][0] == "label copy", f"superblock: {runs[-1][0]} is not on device 0")


def parse_superblock(data, label, where):
    """The superblock if this copy is valid, else None; another version is refused."""
    magic, _, version, *rest = SUPERBLOCK.unpack_from(data)
    if magic != 0x3142534E49505844 or not crc_holds(data):
        return None
    if version != 1:
        raise Refused(f"{where}: format version {version}, this reader knows 1")
    block = Superblock(*rest, devices=[])
    if (block.block_bytes != BLOCK or not 1 <= block.device_count <= 16
            or block.volume_uuid != label.volume_uuid):
        return None
    block.devices = [TableEntry(*TABLE_ENTRY.unpack_from(data, 1024 + 64 * index))
                     for index in range(block.device_count)]
    require(not any(data[1024 + 64 * block.device_count:]),
            f"{where}: the device table goes on behind device_count")
    return block


def read_superblock(device, label):
    for number in (0, label.block_count - 1):
        where = f"{device.path}: superblock in block {number}"
        found = parse_superblock(device.read(number * BLOCK + 1024, 2048), label, where)
        if found is not None:
            return found
    raise Damage(f"{device.path}: no valid superblock")


class Volume:
    """All devices of a volume, in the order of their labels."""

    def __init__(self, paths):
        self.devices = []
        opened = []
        try:
            for path in paths:
                opened.append(Device(path))
            self.assemble([(read_label(device), device) for device in opened])
        except Exception:
            for device in opened:
                device.close()
            raise

    def close(self):
        for device in self.devices:
            device.close()

    def assemble(self, members):
        first = members[0][0]
        found = {}
        for label, device in members:
            if (label.volume_uuid, label.device_count) != (first.volume_uuid, first.device_count):
                raise Refused(f"{device.path}: of volume {uuid.UUID(bytes=label.volume_uuid)}, "
                              f"not {uuid.UUID(bytes=first.volume_uuid)}")
            if label.index in found:
                raise Refused(f"{device.path}: device {label.index} is given twice")
            found[label.index] = label, device
        for index in range(first.device_count):
            if index not in found:
                raise Refused(f"device {index} of {first.device_count} is missing: give --device")
        self.labels = [found[index][0] for index in range(first.device_count)]
        self.devices = [found[index][1] for index in range(first.device_count)]
        self.superblock = read_superblock(self.devices[0], self.labels[0])
        self.check_features()
        self.check_table()
        self.superblock.check()

    def check_features(self):
        if self.superblock.incompat:
            raise Refused(f"unknown incompatible features {self.superblock.incompat:#x}")

    def check_table(self):
        require(self.superblock.device_count == len(self.labels),
                "device_count of the superblock is not that of the labels")
        for label, entry, device in zip(self.labels, self.superblock.devices, self.devices):
            for name in ("device_uuid", "block_count", "role", "mapping_unit"):
                require(getattr(label, name) == getattr(entry, name),
                        f"{device.path}: {name} of the label is not that of the device table")
