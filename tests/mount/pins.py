#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Pins and leases through the real mount: what they do, and what outlives what. Their table of errors
is errno_table.py's."""

import contextlib
import errno
import mmap
import os
import signal
import sys

import pinning
from files import (SIZE, UNIT, changed_flag, is_pinned, load, make_file, make_pinned, opened,
                   store)
from harness import MIB, case, expect, expect_equal, expect_errno, require_root, run
from pinning import BLOCK, open_direct
from syscalls import fallocate, punch


@case("pin: whole file, shown by STATUS, and again is no error; unpin likewise")
def pin_whole(_, folder):
    path = make_file(folder)
    with opened(path) as fd:
        pinning.pin(fd)
        pinning.pin(fd)
        status = pinning.status(fd)
        expect(status.flags & pinning.STATUS_PINNED and status.flags & pinning.STATUS_WHOLE,
               f"flags {status.flags}")
        expect_equal(status.pinned_bytes, SIZE, "pinned bytes")
        pinning.unpin(fd)
        pinning.unpin(fd)
        expect_equal(pinning.status(fd).flags & pinning.STATUS_PINNED, 0, "flags")


@case("pin: a range may be cut out of a larger one")
def pin_ranges(_, folder):
    path = make_file(folder)
    with opened(path) as fd:
        pinning.pin(fd, 0, 6 * UNIT)
        pinning.unpin(fd, 2 * UNIT, 2 * UNIT)
        expect_equal(pinning.status(fd).pinned_bytes, 4 * UNIT, "pinned bytes")
        expect_equal(pinning.status(fd).flags & pinning.STATUS_WHOLE, 0, "whole")
        punch(fd, 2 * UNIT, 2 * UNIT)
        with expect_errno(errno.ETXTBSY):
            punch(fd, UNIT, 2 * UNIT)
        pinning.unpin(fd)
        expect_equal(pinning.status(fd).pinned_bytes, 0, "pinned bytes")


@case("unknown flags, reserved bytes and kinds of lease: EINVAL")
def unknown(_, folder):
    with opened(make_file(folder)) as fd:
        for request in (lambda: pinning.pin(fd, flags=0x80), lambda: pinning.pin(fd, reserved=1),
                        lambda: pinning.unpin(fd, flags=pinning.PREPARE),
                        lambda: pinning.extend(fd, 2 * SIZE, flags=1),
                        lambda: pinning.lease(fd, 0), lambda: pinning.lease(fd, 3),
                        lambda: pinning.lease(fd, pinning.LEASE_READ, flags=0x80)):
            with expect_errno(errno.EINVAL):
                request()


@case("+i on a pinned file: readable, open for writing, and every change but a store is EPERM")
def immutable_pinned(_, folder):
    require_root("chattr +i")
    path = make_pinned(folder)
    with changed_flag("i", path):
        with opened(path) as fd:
            expect_equal(os.pread(fd, 4, 0), bytes(range(4)))
            for change in (lambda: os.pwrite(fd, bytes(BLOCK), 0), lambda: os.ftruncate(fd, SIZE + 1),
                           lambda: punch(fd, 0, BLOCK), lambda: os.link(path, folder / "name"),
                           lambda: os.rename(path, folder / "name"), lambda: os.chmod(path, 0o600),
                           lambda: os.unlink(path), lambda: os.setxattr(path, "user.x", b"")):
                with expect_errno(errno.EPERM):
                    change()
            pinning.lease(fd, pinning.LEASE_WRITE)
            found = pinning.extents(fd)
            device = pinning.device(fd, found[0].device)
            store(device.path, found[0].device_offset, b"stored")
            expect_equal(os.pread(fd, 6, 0), b"stored")


@case("pin of a hole without PREPARE: EINVAL; PREPARE fills it with zeros")
def holes(_, folder):
    path = make_file(folder)
    with opened(path) as fd:
        punch(fd, 4 * BLOCK, 4 * BLOCK)
        fallocate(fd, 0, SIZE, SIZE)  # unwritten
        with expect_errno(errno.EINVAL):
            pinning.pin(fd)
        expect_equal(pinning.status(fd).flags & pinning.STATUS_PINNED, 0, "flags")
        pinning.pin(fd, flags=pinning.PREPARE)
        expect_equal(os.pread(fd, BLOCK, 4 * BLOCK), bytes(BLOCK), "the hole")
        expect_equal(os.pread(fd, 16, 8 * BLOCK), bytes(range(16)), "behind the hole")
        expect_equal(pinning.status(fd).pinned_bytes, 2 * SIZE, "pinned bytes")


@case("every open of a pinned file is direct; a shared mapping through FUSE is refused")
def direct_opens(_, folder):
    path = make_pinned(folder)
    with open(path, "r+b") as file:
        with expect_errno(errno.ENODEV):
            mmap.mmap(file.fileno(), BLOCK)
        private = mmap.mmap(file.fileno(), BLOCK, flags=mmap.MAP_PRIVATE)
        expect_equal(private[:4], bytes(range(4)))
        private.close()


@case("attributes: user.daxpin.* pin, show and unpin, and stay out of listxattr")
def pin_by_attribute(_, folder):
    path = make_file(folder)
    expect_equal(os.getxattr(path, "user.daxpin.pin"), b"0")
    os.setxattr(path, "user.daxpin.pin", b"1")
    expect_equal(os.getxattr(path, "user.daxpin.pin"), b"1")
    expect_equal(os.listxattr(path), [], "names")
    lines = os.getxattr(path, "user.daxpin.extents").decode().splitlines()
    expect(len(lines) >= 1, "no extents shown")
    expect(os.getxattr(path, "user.daxpin.status"), "no status shown")
    with opened(path) as fd:
        pinning.unpin(fd, 0, UNIT)
    expect_equal(os.getxattr(path, "user.daxpin.pin"), b"partial")
    os.removexattr(path, "user.daxpin.pin")
    expect_equal(os.getxattr(path, "user.daxpin.pin"), b"0")
    with expect_errno(errno.EINVAL):
        os.setxattr(path, "user.daxpin.pin", b"yes")
    for name in ("user.daxpin.extents", "user.daxpin.status"):
        with expect_errno(errno.EPERM, errno.EACCES, errno.EINVAL, errno.EOPNOTSUPP):
            os.setxattr(path, name, b"x")


@case("lease: extents only under one, and only the holder's id releases it")
def leases(_, folder):
    path = make_pinned(folder)
    with opened(path) as fd, opened(path) as other:
        with expect_errno(errno.ENOLCK):
            pinning.extents(fd)
        first, generation = pinning.lease(fd, pinning.LEASE_WRITE)
        found = pinning.extents(fd, generation)
        expect_equal(sum(extent.length for extent in found) >= SIZE, True, "covered")
        with expect_errno(errno.ESTALE):
            pinning.extents(fd, (generation[0], generation[1] + 1))
        with expect_errno(errno.EINVAL):
            pinning.release(other, first)
        with expect_errno(errno.EBUSY):
            pinning.unpin(other)
        pinning.release(fd, first)
        with expect_errno(errno.EINVAL):
            pinning.release(fd, first)
        with expect_errno(errno.ENOLCK):
            pinning.extents(fd)
        pinning.unpin(other)


@case("write lease: seals the map until the descriptor is closed")
def write_lease_seals(_, folder):
    path = make_file(folder)
    with opened(path) as fd:
        pinning.lease(fd, pinning.LEASE_WRITE, 0, SIZE)
        with expect_errno(errno.ETXTBSY):
            os.truncate(path, 0)
    wait_for_release(lambda: os.truncate(path, 0))


def wait_for_release(action):
    """RELEASE comes some time after close(2)."""
    import time
    for _ in range(200):
        try:
            return action()
        except OSError as error:
            if error.errno != errno.ETXTBSY:
                raise
            time.sleep(0.01)
    return action()


@case("lease: a leased file may be unlinked, and its blocks go to nobody while it lives")
def leased_unlink(_, folder):
    path = make_file(folder)
    with opened(path) as fd:
        pinning.lease(fd, pinning.LEASE_READ)
        found = pinning.extents(fd)
        device = pinning.device(fd, found[0].device)
        os.truncate(path, 0)
        os.unlink(path)
        for number in range(64):
            (folder / f"new-{number}").write_bytes(b"n" * MIB)
        for extent in found:
            seen = load(device.path, extent.device_offset, extent.length)
            expect(b"nnnnnnnn" not in seen, "a leased block was given to another file")


@case("mapping: stores and reads through the device and through the mount agree")
def stores_are_seen(_, folder):
    path = make_pinned(folder)
    with opened(path) as fd:
        pinning.lease(fd, pinning.LEASE_WRITE)
        for extent in pinning.extents(fd):
            device = pinning.device(fd, extent.device)
            store(device.path, extent.device_offset + 8, b"through the map")
            expect_equal(os.pread(fd, 15, extent.file_offset + 8), b"through the map")
            os.pwrite(fd, b"w" * BLOCK, extent.file_offset)
            expect_equal(load(device.path, extent.device_offset, 4), b"wwww")
        pinning.sync(fd)


@case("EXTEND: the file grows with zeros, and old extents stay where they are")
def extend_pinned(_, folder):
    path = make_pinned(folder)
    with opened(path) as fd:
        pinning.lease(fd, pinning.LEASE_WRITE)
        before = pinning.extents(fd)
        pinning.extend(fd, 3 * SIZE)
        expect_equal(os.fstat(fd).st_size, 3 * SIZE, "size")
        expect_equal(os.pread(fd, SIZE, 2 * SIZE), bytes(SIZE), "new bytes")
        status = pinning.status(fd)
        expect_equal(status.pinned_bytes, 3 * SIZE, "pinned bytes")
        pinning.lease(fd, pinning.LEASE_WRITE)
        after = {extent.file_offset: extent for extent in pinning.extents(fd)}
        for extent in before:
            now = after[extent.file_offset]
            expect_equal(now.device_offset, extent.device_offset, "device offset")


@contextlib.contextmanager
def signals(seconds):
    """One so soon, and on and on; none ends this process."""
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@case("PIN, EXTEND, LEASE: EINTR at a signal, and data, size and pins are as before", size=640 * MIB)
def interrupted(volume):
    path = make_file(volume.mountpoint)
    cached = os.open(path, os.O_RDONLY)
    with opened(path) as fd:
        for request in (pinning.pin, lambda fd: pinning.lease(fd, pinning.LEASE_READ)):
            with signals(0.1), expect_errno(errno.EINTR):
                request(fd)
        os.close(cached)
        pinning.pin(fd)
        with signals(0.0005), expect_errno(errno.EINTR):
            pinning.extend(fd, 500 * MIB)
        expect_equal(os.stat(path).st_size, SIZE, "size")
        expect_equal(os.pread(fd, BLOCK, SIZE), b"", "behind the end")
        pinning.extend(fd, 500 * MIB)
        expect_equal(os.pread(fd, BLOCK, 500 * MIB - BLOCK), bytes(BLOCK), "the end")


@case("DEVICE: names each device; an index beyond them is EINVAL")
def devices(volume, folder):
    path = make_file(folder)
    with opened(path) as fd:
        count = pinning.device(fd).count
        expect_equal(count, len(volume.devices), "devices")
        for index in range(count):
            device = pinning.device(fd, index)
            expect(os.path.samefile(device.path, volume.devices[index]), device.path)
        expect_equal(device.mapping_unit, UNIT, "mapping unit of the device with the data")
        with expect_errno(errno.EINVAL):
            pinning.device(fd, count)


@case("pins outlive kill -9 and unmount; leases do not", size=128 * MIB)
def pins_are_durable(volume):
    path = make_pinned(volume.mountpoint)
    part = make_file(volume.mountpoint, "part")
    with opened(part) as fd:
        pinning.pin(fd, 0, 4 * UNIT)
    fd = open_direct(path)
    pinning.lease(fd, pinning.LEASE_WRITE)
    before = pinning.extents(fd)
    volume.kill()
    with expect_errno(errno.ENOTCONN):
        os.pread(fd, 1, 0)
    os.close(fd)
    volume.mount()
    expect(is_pinned(path) and is_pinned(part), "a pin is gone")
    with opened(path) as fd:
        expect_equal(pinning.status(fd).leases, 0, "leases")
        pinning.lease(fd, pinning.LEASE_READ)
        expect_equal(pinning.extents(fd), before, "extents")
    volume.unmount()
    volume.fsck()
    volume.mount("ro")
    expect(is_pinned(path), "the pin is gone after unmount")
    with expect_errno(errno.EROFS):
        os.setxattr(path, "user.daxpin.pin", b"0")
    with opened(path, os.O_RDONLY) as fd:
        with expect_errno(errno.EROFS):
            pinning.pin(fd)
        with expect_errno(errno.EROFS):
            pinning.lease(fd, pinning.LEASE_READ)


@case("generation: none comes again in a later mount, whose lease knows of no earlier one",
      size=64 * MIB)
def generations(volume):
    path = make_pinned(volume.mountpoint)
    seen = []
    for again in (lambda: None, volume.kill, volume.kill, volume.unmount):
        again()
        if not volume.is_mounted():
            volume.mount()
        with opened(path) as fd:
            _, generation = pinning.lease(fd, pinning.LEASE_READ)
            expect_equal(pinning.status(fd).generation, generation, "STATUS's generation")
            expect(pinning.extents(fd, generation), "no extents")
            for earlier in seen:
                with expect_errno(errno.ESTALE):
                    pinning.extents(fd, earlier)
            seen.append(generation)
    expect_equal(len({mount_id for mount_id, _ in seen}), len(seen), "different mounts")


@case("pin=off: nobody pins; dax=off: no leases, and pins still hold", size=64 * MIB)
def mount_options(volume):
    path = make_pinned(volume.mountpoint)
    volume.unmount()
    volume.mount("pin=off", "dax=off")
    with opened(path) as fd:
        with expect_errno(errno.EPERM):
            pinning.unpin(fd)
        with expect_errno(errno.EOPNOTSUPP, errno.EPERM):
            pinning.lease(fd, pinning.LEASE_READ)
        with expect_errno(errno.ETXTBSY):
            punch(fd, 0, BLOCK)


if __name__ == "__main__":
    sys.exit(run())
