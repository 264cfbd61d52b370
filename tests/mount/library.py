#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""libdaxpin's functions on a real mount."""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import pathlib
import resource
import sys
import time

import libdaxpin
import pinning
from harness import (MIB, Skip, case, expect, expect_equal, expect_errno, program, run,
                     run_command, wait_until)
from libdaxpin import LIBRARY, mapped, pinned_file
from syscalls import append, in_child, load_private


def opened(path, access=os.O_RDWR):
    return os.fdopen(pinning.open_direct(path, access), "rb", buffering=0)


def can_truncate(path, size):
    """False while a lease seals the file. It ends when the kernel has told the daemon."""
    try:
        os.truncate(path, size)
        return True
    except OSError as error:
        expect_equal(error.errno, errno.ETXTBSY, "errno of truncate")
        return False


@case("map_extend: grows in place; what was there stays, what is new is zero and reaches the file")
def extend(_, folder):
    path = pinned_file(folder / "file", MIB)
    with opened(path) as file, mapped(path, reserve=64 * MIB) as mapping:
        address = mapping.address
        mapping[0:5] = b"first"
        for size in (MIB + 4096, 3 * MIB + 100, 32 * MIB):
            libdaxpin.call("daxpin_extend", file.fileno(), size)
            expect(len(mapping) < size, "grown unasked")
            mapping.extend(file.fileno())
            expect_equal((mapping.address, len(mapping)), (address, size), "the mapping")
            expect_equal(mapping[0:5], b"first", "old bytes")
            expect_equal(mapping[size - 64:size], bytes(64), "new bytes")
            mapping[size - 4:size] = b"last"
            mapping.persist(size - 4, 4)
            expect_equal(os.pread(file.fileno(), 4, size - 4), b"last", "read(2)")
        expect_equal(os.getxattr(path, "user.daxpin.pin"), b"1", "pin")


@case("map: what EXTEND has just added, by its length, before the kernel knows of it")
def just_extended(_, folder):
    path = pinned_file(folder / "file", MIB)
    with opened(path) as file:
        pinning.extend(file.fileno(), 2 * MIB)
        mapping = libdaxpin.Map(file.fileno(), MIB, MIB)
        expect_equal(mapping[0:MIB], bytes(MIB), "new bytes")
        mapping.delete()
        with expect_errno(errno.EINVAL):
            libdaxpin.Map(file.fileno(), MIB, MIB + 1)


def grown(folder, name):
    """A pinned file whose size the kernel has seen before the library made it larger."""
    file = opened(pinned_file(folder / name, MIB))
    expect_equal(os.fstat(file.fileno()).st_size, MIB, "size before")
    libdaxpin.call("daxpin_extend", file.fileno(), 2 * MIB)
    return file


@case("extend: the kernel knows the new size at once: nobody appends within the file")
def extend_then_append(_, folder):
    with grown(folder, "file") as file:
        with expect_errno(errno.ETXTBSY):
            append(file.fileno(), b"appended")
        expect_equal(os.pread(file.fileno(), 8, MIB), bytes(8), "the bytes at the old end")


@case("extend: a private mapping reaches the new part at once")
def extend_then_map(_, folder):
    with grown(folder, "file") as file:
        def child():
            expect_equal(load_private(file.fileno(), MIB, 4096), bytes(4096), "new bytes")

        expect_equal(in_child(child), 0, "how the child ended")


@case("extend: copy_file_range copies from the new part at once")
def extend_then_copy(_, folder):
    with grown(folder, "file") as file, (folder / "copy").open("wb") as copy:
        copied = os.copy_file_range(file.fileno(), copy.fileno(), 4096, MIB, 0)
        expect_equal(copied, 4096, "bytes copied")


@case("map_extend: a part of what the file has grown by, then the rest; never less")
def extend_partly(_, folder):
    path = pinned_file(folder / "file", MIB)
    with opened(path) as file, mapped(path, length=5000, reserve=2 * MIB) as mapping:
        for length in (6000, 8192, 8193, MIB):
            mapping.extend(file.fileno(), length)
            expect_equal(len(mapping), length, "length")
            mapping[length - 1:length] = b"x"
            expect_equal(os.pread(file.fileno(), 1, length - 1), b"x", "read(2)")
        with expect_errno(errno.EINVAL):
            mapping.extend(file.fileno(), MIB - 1)
        with expect_errno(errno.EINVAL):
            mapping.extend(file.fileno(), MIB + 1)


@case("map_extend: refused beyond the reserved addresses, for another file, for other access")
def extend_refused(_, folder):
    path = pinned_file(folder / "file", 2 * MIB)
    other = pinned_file(folder / "other", 2 * MIB)
    with opened(path) as file, mapped(path, length=MIB) as mapping:
        with expect_errno(errno.ENOMEM):
            mapping.extend(file.fileno())
        expect_equal(len(mapping), MIB, "length after a refusal")
        with expect_errno(errno.EINVAL), opened(other) as stranger:
            mapping.extend(stranger.fileno())
        with expect_errno(errno.EBADF), opened(path, os.O_RDONLY) as reader:
            mapping.extend(reader.fileno())
        with expect_errno(errno.EINVAL):
            mapping.extend(file.fileno(), flags=1 << 31)


@case("map_extend: the lease of what was added ends with the mapping, not before")
def extend_lease(_, folder):
    path = folder / "file"
    path.write_bytes(bytes(MIB))
    with opened(path) as file, mapped(path, reserve=8 * MIB) as mapping:
        os.ftruncate(file.fileno(), 2 * MIB)
        mapping.extend(file.fileno(), flags=libdaxpin.MAP_PREPARE)
        with expect_errno(errno.ETXTBSY):
            os.ftruncate(file.fileno(), 4096)
    wait_until(lambda: can_truncate(path, 4096), "the end of the lease")


@case("memcpy and memset: every flag stores the bytes; unknown flags are refused")
def stores(_, folder):
    path = pinned_file(folder / "file", MIB)
    with opened(path) as file, mapped(path) as mapping:
        at = 0
        for flags in (0, libdaxpin.NODRAIN, libdaxpin.NONTEMPORAL, libdaxpin.TEMPORAL,
                      libdaxpin.NOFLUSH, libdaxpin.NODRAIN | libdaxpin.NONTEMPORAL):
            for length in (1, 63, 64, 4096, 70001):
                data = bytes([flags + 1, length % 251]) * length
                libdaxpin.call("daxpin_memcpy", mapping.handle, mapping.address + at, data, length,
                               flags)
                expect_equal(os.pread(file.fileno(), length, at), data[:length], "copied")
                libdaxpin.call("daxpin_memset", mapping.handle, mapping.address + at, 0x5a, length,
                               flags)
                expect_equal(os.pread(file.fileno(), length, at), b"\x5a" * length, "set")
                at += 1
        libdaxpin.call("daxpin_memset_persist", mapping.handle, mapping.address, 7, 100)
        libdaxpin.call("daxpin_memcpy_persist", mapping.handle, mapping.address, b"ab", 2)
        expect_equal(os.pread(file.fileno(), 3, 0), b"ab\x07", "persisted")
        with expect_errno(errno.EINVAL):
            libdaxpin.call("daxpin_memset", mapping.handle, mapping.address, 0, 1, 0x40)


@case("deep_flush: within the map; beyond it refused")
def deep_flush(_, folder):
    path = pinned_file(folder / "file", MIB)
    with mapped(path) as mapping:
        for offset, length in ((0, MIB), (0, 0), (4097, 5000), (MIB - 1, 1)):
            libdaxpin.call("daxpin_deep_flush", mapping.handle, mapping.address + offset, length)
        for offset, length in ((0, MIB + 1), (MIB, 1), (-1, 1), (5, (1 << 64) - 1)):
            with expect_errno(errno.EINVAL):
                libdaxpin.call("daxpin_deep_flush", mapping.handle, mapping.address + offset,
                               length)


@case("status: what the ioctl says")
def status(_, folder):
    path = pinned_file(folder / "file", MIB)
    with opened(path) as file, mapped(path):
        said = ctypes.create_string_buffer(pinning.STATUS.size)
        libdaxpin.call("daxpin_status", file.fileno(), said)
        fields = pinning.STATUS.unpack(said.raw)
        expect_equal(fields[0] & pinning.STATUS_WHOLE, pinning.STATUS_WHOLE, "flags")
        expect_equal((fields[1], fields[2]), (1, MIB), "leases and pinned bytes")
        expect_equal(fields[3:5], pinning.status(file.fileno()).generation, "generation")


@case("a file of another filesystem: ENOTTY, and one line that says so")
def foreign(volume, _):
    path, empty = volume.folder / "library-foreign", volume.folder / "library-empty"
    path.write_bytes(bytes(4096))
    empty.write_bytes(b"")
    without_direct = pathlib.Path("/sys/kernel/uevent_seqnum")  # a page, and no O_DIRECT
    maps = [path, empty, *([without_direct] if without_direct.exists() else [])]
    calls = [(name, lambda fd: libdaxpin.Map(fd)) for name in maps]
    calls += [(path, lambda fd: libdaxpin.call("daxpin_extend", fd, 8192)),
              (path, lambda fd: libdaxpin.call("daxpin_pin", fd, 0, 0, 0, 0))]
    for name, call in calls:
        with name.open("rb") as file:
            with expect_errno(errno.ENOTTY):
                call(file.fileno())
            expect(b"daxpin filesystem" in LIBRARY.daxpin_errormsg(),
                   f"said {LIBRARY.daxpin_errormsg()}")


@contextlib.contextmanager
def no_descriptors():
    first_free = os.open("/dev/null", os.O_RDONLY)
    os.close(first_free)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (first_free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@case("no descriptor left, a daemon that is gone: the errno is that of the system call",
      size=64 * MIB)
def errno_of_calls(volume):
    path = pinned_file(volume.path("file"), MIB)
    with opened(path) as file:
        with no_descriptors(), expect_errno(errno.EMFILE):
            libdaxpin.Map(file.fileno())
        volume.kill()
        for call in (lambda: libdaxpin.Map(file.fileno()),
                     lambda: libdaxpin.call("daxpin_extend", file.fileno(), 2 * MIB)):
            with expect_errno(errno.ENOTCONN):
                call()
    volume.mount()


@case("mapping the same range again: one lease for all, which lives as long as any of them")
def shared_lease(_, folder):
    path = folder / "file"
    path.write_bytes(b"s" * MIB)
    with opened(path) as file:
        with mapped(path) as first:
            with mapped(path, offset=4096, length=8192) as second, mapped(path) as third:
                expect_equal(pinning.status(file.fileno()).leases, 1, "leases")
                second[0:1] = b"2"
                expect_equal((first[4096:4097], third[4096:4097]), (b"2", b"2"), "shared bytes")
        wait_until(lambda: can_truncate(path, MIB // 2), "the end of the lease")
        with mapped(path, length=4096) as first, mapped(path, length=4096) as second:
            first.delete()
            expect(can_truncate(path, MIB // 4), "sealed beyond the lease")
            time.sleep(0.2)
            expect(not can_truncate(path, 0), "the lease ended with the first of two mappings")
            expect_equal(second[0:1], b"s", "bytes")
    wait_until(lambda: can_truncate(path, 0), "the end of the lease")


@case("mapping the same range again for reading: new blocks are seen after the map has changed")
def changed_map(_, folder):
    path = folder / "file"
    path.write_bytes(b"o" * MIB)
    with mapped(path, os.O_RDONLY) as before:
        with mapped(path, os.O_RDONLY) as same:
            expect_equal(same[0:1], b"o", "bytes")
        os.truncate(path, 0)
        path.write_bytes(b"n" * MIB)
        expect_equal(before[0:1], b"o", "bytes of blocks that were freed under the lease")
        with mapped(path, os.O_RDONLY) as after:
            expect_equal(after[0:MIB], b"n" * MIB, "bytes mapped after the change")


@case("check: a mapping for reading, before and after the owner truncates and writes the file anew")
def check_reader(_, folder):
    path = folder / "file"
    path.write_bytes(b"o" * MIB)
    with opened(path, os.O_RDONLY) as file, mapped(path, os.O_RDONLY) as mapping:
        mapping.check(file.fileno())
        path.chmod(0o600)  # no block of it
        mapping.check(file.fileno())
        os.truncate(path, 0)
        path.write_bytes(b"n" * MIB)
        expect_equal(mapping[0:1], b"o", "what the mapping goes on to show")
        with expect_errno(errno.ESTALE):
            mapping.check(file.fileno())
        expect(b"map it again" in LIBRARY.daxpin_errormsg(), f"said {LIBRARY.daxpin_errormsg()}")
        with mapped(path, os.O_RDONLY) as again:
            again.check(file.fileno())
            expect_equal(again[0:1], b"n", "what another mapping shows")


@case("check: a mapping for writing is the file's whatever others do; another file is refused")
def check_writer(_, folder):
    path = folder / "file"
    path.write_bytes(b"w" * 2 * MIB)
    with opened(path) as file, mapped(path, length=MIB) as mapping, \
            mapped(path, os.O_RDONLY, offset=MIB) as rest:
        os.truncate(path, MIB)
        with expect_errno(errno.ESTALE):
            rest.check(file.fileno())
        mapping.check(file.fileno())
        with expect_errno(errno.EINVAL), opened(pinned_file(folder / "other", MIB)) as other:
            mapping.check(other.fileno())
        with expect_errno(errno.EBADF):
            mapping.check(-1)


@case("check: a mapping outlives neither its daemon nor the mount", size=64 * MIB)
def check_remount(volume):
    path = pinned_file(volume.path("file"), MIB)
    with opened(path) as file, mapped(path) as mapping:
        mapping.check(file.fileno())
        volume.kill()
        with expect_errno(errno.ENOTCONN):
            mapping.check(file.fileno())
        volume.mount()
        with expect_errno(errno.ESTALE), opened(path) as anew:
            mapping.check(anew.fileno())


@case("check: a mapping for writing whose lease was asked back, before and after the file changes",
      size=64 * MIB)
def check_asked_back(volume):
    volume.unmount()
    volume.mount("lease_break=0")
    path = volume.path("file")
    path.write_bytes(b"w" * MIB)
    with opened(path) as file, mapped(path) as mapping:
        pinning.ask_back(file.fileno())
        mapping.check(file.fileno())
        wait_until(lambda: can_truncate(path, 0), "the end of the seal")
        with expect_errno(errno.ESTALE):
            mapping.check(file.fileno())


@case("get_granularity: what the device under the mapping says")
def granularity(_, folder):
    path = pinned_file(folder / "file", MIB)
    with opened(path) as file, mapped(path) as mapping:
        device = pinning.device(file.fileno(), first_extent(path).device)
        expect_equal(mapping.granularity, device.granularity, "granularity")


@case("memmove: overlapping bytes move whole, upwards and downwards, and reach the file")
def memmove(_, folder):
    path = pinned_file(folder / "file", MIB)
    content = bytes(range(251)) * 1000
    with opened(path) as file, mapped(path) as mapping:
        mapping[4096:4096 + len(content)] = content
        for source, target in ((4096, 4100), (4100, 4096)):
            libdaxpin.call("daxpin_memmove", mapping.handle, mapping.address + target,
                           mapping.address + source, len(content), 0)
            expect_equal(os.pread(file.fileno(), len(content), target), content, "bytes moved")


@case("VOLUME tells the version of the interface; a request of another size is ENOTTY")
def version(_, folder):
    path = pinned_file(folder / "file", MIB)
    with opened(path) as file:
        expect_equal(pinning.version(file.fileno()), 1, "version")
        larger = pinning.STATUS.size + 8
        with expect_errno(errno.ENOTTY):
            pinning.call(file.fileno(), pinning.number(pinning.IOWR, 4, larger), bytes(larger))


def track(mapping, mode):
    try:
        libdaxpin.call("daxpin_dirty_track", mapping.handle, mode)
    except OSError as error:
        if mode == libdaxpin.TRACK_WRITE_PROTECT and error.errno in (errno.EOPNOTSUPP, errno.EPERM):
            raise Skip(str(error)) from error
        raise


@case("sync: in each mode of tracking, of parts and of all, also after the mapping has grown")
def sync(_, folder):
    for mode in (libdaxpin.TRACK_MARKS, libdaxpin.TRACK_FINE, libdaxpin.TRACK_COARSE,
                 libdaxpin.TRACK_WRITE_PROTECT):
        path = pinned_file(folder / f"file{mode}", MIB)
        with opened(path) as file, mapped(path, reserve=4 * MIB) as mapping:
            track(mapping, mode)
            libdaxpin.call("daxpin_extend", file.fileno(), 3 * MIB)
            mapping.extend(file.fileno())
            for offset in (0, 5000, MIB - 1, 2 * MIB + 77):
                mapping[offset:offset + 1] = b"d"
                libdaxpin.call("daxpin_dirty_mark", mapping.handle, mapping.address + offset, 1)
                libdaxpin.call("daxpin_sync", mapping.handle, offset, 1)
                expect_equal(os.pread(file.fileno(), 1, offset), b"d", "read(2)")
            libdaxpin.call("daxpin_sync", mapping.handle, 0, 0)
            with expect_errno(errno.EBUSY):
                track(mapping, libdaxpin.TRACK_FINE if mode in (1, 3) else libdaxpin.TRACK_COARSE)
            with expect_errno(errno.EINVAL):
                libdaxpin.call("daxpin_sync", mapping.handle, 3 * MIB, 1)


def first_extent(path):
    offset, length, device, device_offset = os.getxattr(path, "user.daxpin.extents").split()[:4]
    return pinning.Extent(int(offset), int(device_offset), int(length), int(device), 0)


@case("map and map_extend: a process keeps its record locks on the file")
def record_locks(_, folder):
    path = pinned_file(folder / "file", MIB)

    def child():
        with opened(path) as other, expect_errno(errno.EAGAIN, errno.EACCES):
            fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB)

    with opened(path) as file, contextlib.ExitStack() as stack:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mapping = libdaxpin.Map(file.fileno(), length=MIB // 2, reserve=MIB)
        stack.callback(mapping.delete)
        expect_equal(in_child(child), 0, "another process, once it is mapped")
        mapping.extend(file.fileno(), flags=libdaxpin.MAP_PREPARE)
        expect_equal(in_child(child), 0, "another process, once the mapping is extended")
        mapping.delete()
        expect_equal(in_child(child), 0, "another process, once it is unmapped")


@case("map: daxpin leases names the process, not a thread that has ended")
def named(volume, folder):
    with mapped(pinned_file(folder / "file", MIB)):
        said = run_command(program("daxpin"), "leases", "--json", volume.mountpoint)
        ours = [lease["pid"] for lease in json.loads(said)["leases"]]
        expect_equal(ours, [os.getpid()], "processes")


@case("query and map-info: a mapping by the library, from inside and from outside")
def query(_, folder):
    path = pinned_file(folder / "file", MIB)
    with opened(path) as file, mapped(path) as mapping:
        extent = first_extent(path)
        device = pinning.device(file.fileno(), extent.device)
        infos = libdaxpin.query(mapping.address + 8192, 4096)
        expect_equal(len(infos), 1, "entries")
        info = infos[0]
        expect_equal((info.address, info.length), (mapping.address + 8192, 4096), "range")
        expect_equal(info.path.decode(), device.path, "path")
        expect_equal(info.file_offset, extent.device_offset + 8192, "offset")
        expect_equal(info.domain, device.granularity, "domain")
        expect(info.flags & libdaxpin.INFO_LIBRARY and info.flags & libdaxpin.INFO_WRITABLE,
               f"flags {info.flags:#x}")
        said = run_command(program("daxpin"), "map-info", "--json", os.getpid(),
                           hex(mapping.address + 8192))
        shown = json.loads(said)["mappings"]
        expect_equal([entry["path"] for entry in shown], [device.path], "paths by the tool")
        expect(shown[0]["shared"] and shown[0]["writable"], said)
        lines = run_command(program("daxpin"), "map-info", os.getpid()).splitlines()
        expect(any(device.path in line for line in lines), "the device is not in the list")
        expect(any("[stack]" in line and "private" in line for line in lines), "no stack")
    run_command(program("daxpin"), "map-info", os.getpid(), "0x10", status=1)
    run_command(program("daxpin"), "map-info", 2**31 - 1, status=1)
    run_command(program("daxpin"), "map-info", "self", status=2)
    run_command(program("daxpin"), "map-info", os.getpid(), "here", status=2)


if __name__ == "__main__":
    sys.exit(run())
