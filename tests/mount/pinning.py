# SPDX-License-Identifier: BSD-3-Clause
"""include/daxpin/ioctl.h for Python: the structures packed by hand, so that a change of the
header's layout is noticed here as well."""

import fcntl
import os
import struct
from dataclasses import dataclass

PREPARE = 1
STATUS_PINNED, STATUS_WHOLE = 1, 2
STATUS_ASKED_BACK = 0x40
LEASE_READ, LEASE_WRITE = 1, 2
BLOCK = 4096
END = (1 << 64) - 1

RANGE = struct.Struct("=QQQI5I")
EXTEND = struct.Struct("=QI5I")
STATUS = struct.Struct("=IIQQQQQ8I")
LEASE = struct.Struct("=QQIIQQQ8I")
RELEASE = struct.Struct("=QI3I")
EXTENTS = struct.Struct("=QQQII4I")
EXTENT = struct.Struct("=QQQII8x")
DEVICE = struct.Struct("=IIIIQQiI16s16s8I4096s")
TICKET = struct.Struct("=QI3I32s112s")
VOLUME = struct.Struct("=IIQ12I")
BREAK = struct.Struct("=I3I")
BROKER_REQUEST = struct.Struct("=32sI3I")
BROKER_REPLY = struct.Struct("=i3I")
EXTENTS_MAX = 255
DEVICE_BROKER = 8


def number(direction, index, size):
    return direction << 30 | size << 16 | 0xDA << 8 | index


IOW, IOWR = 1, 3
PIN = number(IOW, 1, RANGE.size)
UNPIN = number(IOW, 2, RANGE.size)
IOC_EXTEND = number(IOW, 3, EXTEND.size)
IOC_STATUS = number(IOWR, 4, STATUS.size)
IOC_LEASE = number(IOWR, 5, LEASE.size)
IOC_RELEASE = number(IOW, 6, RELEASE.size)
IOC_EXTENTS = number(IOWR, 7, EXTENTS.size + EXTENTS_MAX * EXTENT.size)
IOC_DEVICE = number(IOWR, 8, DEVICE.size)
SYNC = number(IOW, 9, RANGE.size)
IOC_BREAK = number(IOW, 15, BREAK.size)
IOC_TICKET = number(IOWR, 16, TICKET.size)
IOC_VOLUME = number(IOWR, 17, VOLUME.size)


def open_direct(path, flags=os.O_RDWR):
    """As pinning wants it: a cached handle of the file, the caller's too, makes PIN busy."""
    return os.open(path, flags | os.O_DIRECT)


def call(fd, request, data):
    buffer = bytearray(data)
    fcntl.ioctl(fd, request, buffer, True)
    return bytes(buffer)


def pin(fd, offset=0, length=0, align=0, flags=0, reserved=0):
    call(fd, PIN, RANGE.pack(offset, length, align, flags, reserved, 0, 0, 0, 0))


def unpin(fd, offset=0, length=0, flags=0):
    call(fd, UNPIN, RANGE.pack(offset, length, 0, flags, 0, 0, 0, 0, 0))


def sync(fd, offset=0, length=0):
    call(fd, SYNC, RANGE.pack(offset, length, 0, 0, 0, 0, 0, 0, 0))


def extend(fd, length, flags=0):
    call(fd, IOC_EXTEND, EXTEND.pack(length, flags, 0, 0, 0, 0, 0))


@dataclass
class Status:
    flags: int
    leases: int
    pinned_bytes: int
    generation: tuple


def status(fd):
    fields = STATUS.unpack(call(fd, IOC_STATUS, bytes(STATUS.size)))
    return Status(fields[0], fields[1], fields[2], fields[3:5])


def lease(fd, access, offset=0, length=0, flags=0):
    """Returns (lease id, generation)."""
    data = LEASE.pack(offset, length, access, flags, 0, 0, 0, *[0] * 8)
    fields = LEASE.unpack(call(fd, IOC_LEASE, data))
    return fields[4], fields[5:7]


def release(fd, lease_id):
    call(fd, IOC_RELEASE, RELEASE.pack(lease_id, 0, 0, 0, 0))


@dataclass
class Extent:
    file_offset: int
    device_offset: int
    length: int
    device: int
    flags: int


def extents(fd, generation=(0, 0), cursor=0):
    found = []
    while cursor != END:
        data = EXTENTS.pack(cursor, *generation, 0, 0, 0, 0, 0, 0) + bytes(EXTENTS_MAX * EXTENT.size)
        reply = call(fd, IOC_EXTENTS, data)
        cursor, _, _, count = EXTENTS.unpack_from(reply)[:4]
        found += [Extent(*EXTENT.unpack_from(reply, EXTENTS.size + n * EXTENT.size))
                  for n in range(count)]
    return found


@dataclass
class Device:
    count: int
    granularity: int
    size: int
    mapping_unit: int
    path: str
    flags: int


def device(fd, index=0):
    fields = DEVICE.unpack(call(fd, IOC_DEVICE, DEVICE.pack(index, *[0] * 7, b"", b"", *[0] * 8, b"")))
    return Device(*fields[2:6], fields[-1].split(b"\0")[0].decode(), fields[1])


def version(fd):
    return VOLUME.unpack(call(fd, IOC_VOLUME, bytes(VOLUME.size)))[1]


def ask_back(fd, flags=0):
    call(fd, IOC_BREAK, BREAK.pack(flags, 0, 0, 0))


def ticket(fd, lease_id, flags=0):
    """Returns (ticket, path of the broker's socket)."""
    fields = TICKET.unpack(call(fd, IOC_TICKET, TICKET.pack(lease_id, flags, 0, 0, 0, b"", b"")))
    return fields[-2], fields[-1].split(b"\0")[0].decode()
