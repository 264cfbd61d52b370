# SPDX-License-Identifier: BSD-3-Clause
"""The tail cells and the records of the ring; replay in memory."""

import struct
from dataclasses import dataclass

from checksums import crc32c, siphash24
from media import BLOCK, Damage, require, split

CELL = struct.Struct("<QQQ16s20xI")
HEADER = struct.Struct("<4sIQIII4xQ16xQ")
ENTRY = struct.Struct("<QHH4x")


@dataclass(frozen=True)
class Cell:
    counter: int
    tail: int
    epoch: bytes


@dataclass(frozen=True)
class Record:
    sequence: int
    length: int
    kind: int
    entry_count: int
    payload_crc: int
    previous_end: int

    @property
    def end(self):
        return self.sequence + self.length


@dataclass(frozen=True)
class Entry:
    """Bytes that belong to `offset` of `block` of device 0; `at`: their place in the device."""
    block: int
    offset: int
    data: bytes
    at: int


def parse_cell(data):
    magic, counter, tail, epoch, crc = CELL.unpack(data)
    if magic != 0x3143544E49505844 or crc != crc32c(data[:60]) or tail % 64 \
            or tail >= 1 << 63:
        return None
    return Cell(counter, tail, epoch)


def read_cell(device, superblock):
    """The ruling tail cell."""
    raw = [device.read(block * BLOCK, 64)
           for block in (superblock.tail_cell_a, superblock.tail_cell_b)]
    a, b = (parse_cell(data) for data in raw)
    if a is None or b is None:
        require(a or b, "no valid tail cell: the journal cannot be read")
        return a or b
    require(a.counter - b.counter in (0, 1), f"tail cells: counters {a.counter} and {b.counter}")
    require(a.counter != b.counter or raw[0] == raw[1], "tail cells: equal counters differ")
    return a


class Journal:
    """The records that count, found when the object is made; the ring is read once."""

    def __init__(self, device, superblock):
        self.superblock = superblock
        self.cell = read_cell(device, superblock)
        self.size = superblock.ring_blocks * BLOCK
        self.start = superblock.ring_start * BLOCK
        self.ring = device.read(self.start, self.size)
        self.limit = self.cell.tail + self.size
        self.records, self.stop = self.walk()
        self.look_beyond_the_stop()

    def header(self, position):
        """The record whose header holds at this position, or None."""
        seat = position % self.size
        raw = self.ring[seat:seat + 64]
        magic, length, sequence, *rest, checksum = HEADER.unpack(raw)
        if magic != b"DXRC" or sequence != position:
            return None
        if not 64 <= length <= self.size // 8 or length % 64 or seat + length > self.size:
            return None
        if siphash24(self.cell.epoch, raw[:56]) != checksum:
            return None
        return Record(sequence, length, *rest)

    def payload(self, record):
        seat = record.sequence % self.size
        return self.ring[seat + 64:seat + record.length]

    def verified(self, position, previous_end):
        record = self.header(position)
        if record is None or record.previous_end != previous_end:
            return None
        return record if crc32c(self.payload(record)) == record.payload_crc else None

    def next_lap(self, position):
        return (position // self.size + 1) * self.size

    def walk(self):
        records, stop = [], self.cell.tail
        while stop < self.limit:
            record = self.verified(stop, stop)
            if record is None and stop % self.size:
                record = self.verified(self.next_lap(stop), stop)
            if record is None or record.end > self.limit:
                break
            require(record.kind == 1, f"journal: record {record.sequence} has type {record.kind}")
            records.append(record)
            stop = record.end
        return records, stop

    def look_beyond_the_stop(self):
        """Nothing may hold there but the header of a torn newest record."""
        seat = self.ring.find(b"DXRC")
        while seat >= 0:
            position = self.stop + (seat - self.stop) % self.size
            if seat % 64 == 0 and self.stop < position < self.limit:
                record = self.header(position)
                torn = position == self.next_lap(self.stop)
                if record and not (torn and record.previous_end == self.stop):
                    raise Damage(f"journal: damaged: a record at {position} stands alone, "
                                 f"the one at {self.stop} is lost")
            seat = self.ring.find(b"DXRC", seat + 1)

    def entries(self, record):
        """The entries of a record, each checked."""
        payload, position = self.payload(record), 0
        base = self.start + record.sequence % self.size + 64
        require(record.entry_count > 0, f"journal: record {record.sequence} is empty")
        for number in range(record.entry_count):
            where = f"journal: record {record.sequence}, entry {number}"
            require(position + ENTRY.size <= len(payload), f"{where}: runs over the end")
            mblock, offset, length = ENTRY.unpack_from(payload, position)
            position += ENTRY.size
            require(length > 0 and offset + length <= BLOCK, f"{where}: {offset} + {length}")
            require(position + length <= len(payload), f"{where}: runs over the end")
            self.check_home(mblock, where)
            yield Entry(mblock, offset, payload[position:position + length], base + position)
            padded = position + length + -length % 8
            require(not any(payload[position + length:padded]), f"{where}: padding")
            position = padded
        rest = payload[position:]
        require(len(rest) < 64 and not any(rest), f"journal: record {record.sequence}: padding")

    def check_home(self, mblock, where):
        index, block = split(mblock)
        superblock = self.superblock
        require(index == 0 and 0 < block < superblock.devices[0].block_count - 1,
                f"{where}: block {index}:{block}")
        ring = range(superblock.ring_start, superblock.ring_start + superblock.ring_blocks)
        require(block not in ring and block not in (superblock.tail_cell_a, superblock.tail_cell_b),
                f"{where}: block {block} is no unit")

    def overlay(self, device):
        """block -> its bytes after replay, of every block that a record names; each verified."""
        blocks = {}
        for record in self.records:
            for entry in self.entries(record):
                if entry.block not in blocks:
                    blocks[entry.block] = bytearray(device.read_block(entry.block))
                home = blocks[entry.block]
                home[entry.offset:entry.offset + len(entry.data)] = entry.data
        return {block: bytes(data) for block, data in blocks.items()}
