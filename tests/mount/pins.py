#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The errno contract of docs/pinning.md through the real mount, row by row."""

import contextlib
import errno
import mmap
import os
import sys

import pinning
from harness import MIB, Skip, case, expect, expect_equal, expect_errno, require_root, run
from pinning import BLOCK, open_direct
from syscalls import (KEEP_SIZE, RENAME_EXCHANGE, ZERO_RANGE, as_user, fallocate, punch, rename2)

SIZE = 64 * BLOCK


@contextlib.contextmanager
def opened(path, flags=os.O_RDWR):
    fd = open_direct(path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


def make_file(folder, name="file", size=SIZE):
    path = folder / name
    with opened(path, os.O_RDWR | os.O_CREAT) as fd:
        if size:
            memory = mmap.mmap(-1, size)  # aligned, as direct I/O may ask
            memory[:] = bytes(range(256)) * (size // 256)
            os.pwrite(fd, memory, 0)
    return path


def make_pinned(folder, name="file", **arguments):
    path = make_file(folder, name)
    with opened(path) as fd:
        pinning.pin(fd, **arguments)
    return path


def is_pinned(path):
    with opened(path, os.O_RDONLY) as fd:
        return bool(pinning.status(fd).flags & pinning.STATUS_PINNED)


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
        pinning.pin(fd, 0, 32 * BLOCK)
        pinning.unpin(fd, 8 * BLOCK, 8 * BLOCK)
        expect_equal(pinning.status(fd).pinned_bytes, 24 * BLOCK, "pinned bytes")
        expect_equal(pinning.status(fd).flags & pinning.STATUS_WHOLE, 0, "whole")
        punch(fd, 8 * BLOCK, 8 * BLOCK)
        with expect_errno(errno.ETXTBSY):
            punch(fd, 7 * BLOCK, 2 * BLOCK)
        pinning.unpin(fd)
        expect_equal(pinning.status(fd).pinned_bytes, 0, "pinned bytes")


@case("pin, unpin, extend on a descriptor not open for writing: EBADF")
def read_only_descriptor(_, folder):
    path = make_file(folder)
    with opened(path, os.O_RDONLY) as fd:
        for request in (pinning.pin, pinning.unpin, lambda fd: pinning.extend(fd, 2 * SIZE)):
            with expect_errno(errno.EBADF):
                request(fd)


@case("pin: bad ranges, alignments, flags and file types: EINVAL")
def invalid_requests(_, folder):
    path = make_file(folder)
    huge = (1 << 64) - BLOCK
    with opened(path) as fd:
        for arguments in ({"offset": 1, "length": BLOCK}, {"offset": SIZE, "length": BLOCK},
                          {"offset": 0, "length": SIZE + BLOCK},
                          {"offset": huge, "length": 2 * BLOCK},
                          {"offset": BLOCK, "length": END_OF_RANGE}, {"align": 3 * BLOCK},
                          {"align": 512}, {"flags": 0x80}, {"reserved": 1}):
            with expect_errno(errno.EINVAL):
                pinning.pin(fd, **arguments)
        with expect_errno(errno.EINVAL):
            pinning.unpin(fd, 1, BLOCK)
    with opened(make_file(folder, "empty", 0)) as fd, expect_errno(errno.EINVAL):
        pinning.pin(fd)
    directory = os.open(folder, os.O_RDONLY)
    with expect_errno(errno.EINVAL, errno.EBADF):
        pinning.pin(directory)
    os.close(directory)
    with opened(path) as fd:
        os.unlink(path)
        with expect_errno(errno.EINVAL):
            pinning.pin(fd)


END_OF_RANGE = (1 << 64) - 1


@case("pin by somebody who is not the owner: EPERM")
def foreign_caller(_, folder):
    require_root("several users")
    path = make_file(folder)
    os.chmod(path, 0o666)
    os.chmod(folder, 0o777)

    def request():
        with opened(path) as fd:
            pinning.pin(fd)
    expect_equal(as_user(1000, request), errno.EPERM, "errno")
    expect(not is_pinned(path), "pinned all the same")
    os.chown(path, 1000, 1000)
    expect_equal(as_user(1000, request), 0, "errno of the owner")


@case("pin of a +i or +a file: EPERM, unpin too")
def flagged_file(_, folder):
    require_root("chattr +i")
    for letter in "ia":
        path = make_file(folder, f"free-{letter}")
        pinned = make_pinned(folder, f"pinned-{letter}")
        with changed_flag(letter, path, pinned):
            with expect_errno(errno.EPERM):
                os.setxattr(path, "user.daxpin.pin", b"1")
            with expect_errno(errno.EPERM):
                os.setxattr(pinned, "user.daxpin.pin", b"0")
            with expect_errno(errno.EPERM), opened(path) as fd:
                pinning.pin(fd)


@contextlib.contextmanager
def changed_flag(letter, *paths):
    import subprocess
    try:
        done = subprocess.run(["chattr", "+" + letter, *map(str, paths)], stderr=subprocess.PIPE,
                              text=True, check=False)
        if done.returncode != 0:
            raise Skip(f"chattr: {done.stderr.strip()}")
        yield
    finally:
        subprocess.run(["chattr", "-" + letter, *map(str, paths)], stderr=subprocess.DEVNULL,
                       check=False)


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


def store(path, offset, data):
    """Stores through a mapping of the device, as a client does."""
    fd = os.open(path, os.O_RDWR)
    start = offset - offset % mmap.PAGESIZE
    with mmap.mmap(fd, offset - start + len(data), offset=start) as memory:
        memory[offset - start:] = data
    os.close(fd)


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


@case("PREPARE with more space needed than there is: ENOSPC, nothing pinned", size=64 * MIB)
def prepare_without_space(volume):
    path = make_file(volume.mountpoint)
    with opened(path) as fd:
        os.ftruncate(fd, 1 << 40)
        with expect_errno(errno.ENOSPC):
            pinning.pin(fd, flags=pinning.PREPARE)
        expect_equal(pinning.status(fd).flags & pinning.STATUS_PINNED, 0, "flags")
        expect_equal(os.fstat(fd).st_size, 1 << 40, "size")
        os.ftruncate(fd, SIZE)
        pinning.pin(fd)
        with expect_errno(errno.ENOSPC):
            pinning.extend(fd, 1 << 40)
        expect_equal(os.fstat(fd).st_size, SIZE, "size")


@case("pin while a handle opened in cached mode is there: EBUSY, and allowed when it is gone")
def cached_handle(_, folder):
    path = make_file(folder)
    cached = os.open(path, os.O_RDONLY)
    with opened(path) as fd:
        with expect_errno(errno.EBUSY):
            pinning.pin(fd)
        os.close(cached)
        pinning.pin(fd)


@case("every open of a pinned file is direct; a shared mapping through FUSE is refused")
def direct_opens(_, folder):
    path = make_pinned(folder)
    with open(path, "r+b") as file:
        with expect_errno(errno.ENODEV):
            mmap.mmap(file.fileno(), BLOCK)
        private = mmap.mmap(file.fileno(), BLOCK, flags=mmap.MAP_PRIVATE)
        expect_equal(private[:4], bytes(range(4)))
        private.close()


@case("a pinned range refuses whatever would change its map: ETXTBSY")
def frozen_map(_, folder):
    path = make_pinned(folder)
    other = make_file(folder, "other")
    with opened(path) as fd, opened(other) as source:
        for change in (lambda: os.ftruncate(fd, 0), lambda: os.ftruncate(fd, SIZE - BLOCK),
                       lambda: os.ftruncate(fd, SIZE + 1), lambda: punch(fd, 0, BLOCK),
                       lambda: fallocate(fd, ZERO_RANGE, 0, BLOCK),
                       lambda: fallocate(fd, 0, 0, SIZE + BLOCK),
                       lambda: os.pwrite(fd, bytes(BLOCK), SIZE),
                       lambda: os.copy_file_range(source, fd, BLOCK, 0, SIZE),
                       lambda: os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))):
            with expect_errno(errno.ETXTBSY):
                change()
        expect_equal(os.fstat(fd).st_size, SIZE, "size")
        expect_equal(os.pread(fd, 4, 0), bytes(range(4)))
        expect_equal(pinning.status(fd).pinned_bytes, SIZE, "pinned bytes")


@case("a pinned file allows what leaves its map alone")
def allowed_changes(_, folder):
    path = make_pinned(folder)
    other = make_file(folder, "other")
    with opened(path) as fd, opened(other) as source:
        os.ftruncate(fd, SIZE)
        fallocate(fd, 0, 0, SIZE)
        fallocate(fd, KEEP_SIZE, BLOCK, BLOCK)
        os.pwrite(fd, b"\x55" * BLOCK, BLOCK)
        expect_equal(os.pread(fd, 4, BLOCK), b"\x55" * 4)
        expect_equal(os.copy_file_range(source, fd, BLOCK, 0, 2 * BLOCK), BLOCK, "copied")
        os.chmod(path, 0o600)
        os.utime(path, ns=(1, 2))
        os.setxattr(path, "user.x", b"1")
        os.link(path, folder / "second")
        os.rename(path, folder / "moved")
        rename2(folder / "moved", other, RENAME_EXCHANGE)
    expect(is_pinned(other), "the pin did not move with the file")


@case("partial pin: append beyond it and inside its last block is allowed")
def append_to_partial(_, folder):
    path = make_file(folder, size=4 * BLOCK)
    with open(path, "ab") as file:
        file.write(b"tail")
    with opened(path) as fd:
        pinning.pin(fd, 0, 4 * BLOCK)
    with open(path, "ab") as file:
        file.write(b"x" * 10000)
    expect_equal(path.stat().st_size, 4 * BLOCK + 4 + 10000, "size")
    with expect_errno(errno.ETXTBSY):
        os.truncate(path, BLOCK)
    os.truncate(path, 4 * BLOCK)


@case("unlink and rename over the last name of a pinned file: EPERM; one of several is allowed")
def last_name(_, folder):
    path = make_pinned(folder)
    victim = make_file(folder, "victim")
    with expect_errno(errno.EPERM):
        os.unlink(path)
    with expect_errno(errno.EPERM):
        os.rename(victim, path)
    os.link(path, folder / "second")
    os.unlink(path)
    with expect_errno(errno.EPERM):
        os.unlink(folder / "second")
    with opened(folder / "second") as fd:
        pinning.unpin(fd)
    os.unlink(folder / "second")


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
        pinning.unpin(fd, 0, BLOCK)
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


@case("lease: refused on descriptors and files that cannot carry it")
def lease_refusals(_, folder):
    path = make_file(folder)
    with opened(path, os.O_RDONLY) as fd:
        with expect_errno(errno.EBADF):
            pinning.lease(fd, pinning.LEASE_WRITE)
        for access in (0, 3):
            with expect_errno(errno.EINVAL):
                pinning.lease(fd, access)
        pinning.lease(fd, pinning.LEASE_READ)
    require_root("chattr +a")
    with changed_flag("a", path), opened(path, os.O_WRONLY | os.O_APPEND) as fd:
        with expect_errno(errno.EPERM):
            pinning.lease(fd, pinning.LEASE_WRITE)


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
        with open(device.path, "rb") as raw:
            for extent in found:
                seen = os.pread(raw.fileno(), min(extent.length, BLOCK), extent.device_offset)
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
            with open(device.path, "rb") as raw:
                expect_equal(os.pread(raw.fileno(), 4, extent.device_offset), b"wwww")
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


@case("DEVICE: names each device; an index beyond them is EINVAL")
def devices(volume, folder):
    path = make_file(folder)
    with opened(path) as fd:
        count = pinning.device(fd).count
        expect_equal(count, len(volume.devices), "devices")
        for index in range(count):
            device = pinning.device(fd, index)
            expect(os.path.samefile(device.path, volume.devices[index]), device.path)
            expect_equal(device.mapping_unit, BLOCK, "mapping unit")
        with expect_errno(errno.EINVAL):
            pinning.device(fd, count)


@case("pins outlive kill -9 and unmount; leases do not", size=128 * MIB)
def pins_are_durable(volume):
    path = make_pinned(volume.mountpoint)
    part = make_file(volume.mountpoint, "part")
    with opened(part) as fd:
        pinning.pin(fd, 0, 4 * BLOCK)
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
