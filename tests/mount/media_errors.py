#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Media errors under a live mount: pages of the device mapping are spoilt (poison.c), or the
device's file is cut short. The daemon lives, EIO is for the lost range alone, the list of bad
blocks says whose it is and outlives the daemon, and rewriting a whole block ends it."""

import contextlib
import errno
import json
import mmap
import os
import random
import sys
import threading

from harness import (MIB, case, expect, expect_equal, expect_errno, program, run, run_command,
                     wait_until)
from spoilt import Spoilt, spoilt
from syscalls import ZERO_RANGE, fallocate

BLOCK = 4096


def content(blocks, seed):
    return random.Random(seed).randbytes(blocks * BLOCK)


def write_file(path, data):
    path.write_bytes(data)
    return data


@contextlib.contextmanager
def opened(path, flags=os.O_RDONLY):
    fd = os.open(path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


def read_block(fd, number):
    """A block past the page cache, or EIO as a number."""
    with mmap.mmap(-1, BLOCK) as page:
        try:
            length = os.preadv(fd, [page], number * BLOCK)
        except OSError as error:
            return error.errno
        return page[:length]


def blocks_of(path, direct):
    """Every block of a file, read one by one: its bytes, or an errno."""
    count = os.stat(path).st_size // BLOCK
    with opened(path, os.O_RDONLY | (os.O_DIRECT if direct else 0)) as fd:
        if direct:
            return [read_block(fd, number) for number in range(count)]
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        found = []
        for number in range(count):
            try:
                found.append(os.pread(fd, BLOCK, number * BLOCK))
            except OSError as error:
                found.append(error.errno)
        return found


def expect_lost(path, data, lost):
    """Blocks `lost` give EIO, all others what they held."""
    wanted = [errno.EIO if number in lost else data[number * BLOCK:(number + 1) * BLOCK]
              for number in range(len(data) // BLOCK)]
    for direct in (True, False):
        found = blocks_of(path, direct)
        wrong = [number for number, (got, want) in enumerate(zip(found, wanted)) if got != want]
        expect(not wrong, f"{path}, {'direct' if direct else 'cached'}: blocks {wrong} differ, "
               f"wanted EIO at {sorted(lost)}")


@case("a media error is EIO for its block alone, and the list names the file", bare=True)
def one_block():
    with spoilt() as volume:
        path, other = volume.path("hit"), volume.path("other")
        data, rest = write_file(path, content(64, 1)), write_file(other, content(64, 2))
        os.mkdir(volume.path("dir"))
        os.link(path, volume.path("dir", "also"))
        device, at = volume.spoil(path, 5 * BLOCK + 17)
        with opened(path, os.O_RDONLY | os.O_DIRECT) as fd:  # the kernel's copy finds it
            expect_equal(read_block(fd, 5), errno.EIO, "the lost block")
        (entry,) = volume.listed()
        expect_equal((entry["device"], entry["device_offset"], entry["source"], entry["use"],
                      entry["inode"], entry["file_offset"]),
                     (device, at, "reply", "file", os.stat(path).st_ino, 5 * BLOCK), "entry")
        expect_equal(sorted(entry["paths"]), sorted([str(path), str(volume.path("dir", "also"))]),
                     "paths")
        expect_lost(path, data, {5})
        expect_lost(other, rest, set())
        shown = run_command(program("daxpin"), "info", "--bad", volume.mountpoint)
        expect(str(path) in shown and "1 bad block\n" in shown, shown)
        expect("1 bad block:" in run_command(program("daxpin"), "info", volume.mountpoint), "info")
        expect("media error" in volume.read_log(), "the log does not tell")


@case("the list outlives unmount and kill -9, and so does EIO", bare=True)
def persistent():
    with spoilt() as volume:
        path = volume.path("f")
        data = write_file(path, content(32, 3))
        volume.spoil(path, 7 * BLOCK)
        expect_lost(path, data, {7})
        before = volume.listed()
        volume.kill()
        volume.mount()  # the page itself is whole again; its content is not believed
        expect_equal(volume.bad(), before, "the list after kill -9")
        expect_lost(path, data, {7})
        volume.unmount()
        volume.fsck()
        volume.mount()
        expect_equal(volume.bad(), before, "the list after unmount")
        expect_lost(path, data, {7})


@case("part of a bad block cannot be written; writing all of it makes it good", bare=True)
def rewriting():
    with spoilt() as volume:
        path = volume.path("f")
        data = bytearray(write_file(path, content(32, 4)))
        volume.spoil(path, 3 * BLOCK)
        with opened(path, os.O_RDWR) as fd:
            with expect_errno(errno.EIO):  # a store of the daemon finds it
                os.pwrite(fd, b"x" * 100, 3 * BLOCK + 50)
            (entry,) = volume.listed()
            expect_equal(entry["source"], "access", "who found it")
            with expect_errno(errno.EIO):
                os.pwrite(fd, b"x" * (BLOCK - 1), 3 * BLOCK)
            new = content(3, 5)
            expect_equal(os.pwrite(fd, new, 2 * BLOCK + 10), len(new), "bytes written")
            data[2 * BLOCK + 10:2 * BLOCK + 10 + len(new)] = new
        expect_equal(volume.bad(), [], "the list")
        expect_lost(path, bytes(data), set())
        volume.kill()
        volume.mount()
        expect_equal(volume.bad(), [], "the list after kill -9")
        expect_lost(path, bytes(data), set())


@case("a block found bad by the write that covers it is healed at once, by zeroing too", bare=True)
def healed_at_once():
    with spoilt() as volume:
        path = volume.path("f")
        data = bytearray(write_file(path, content(16, 6)))
        volume.spoil(path, 3 * BLOCK)
        volume.spoil(path, 9 * BLOCK)
        with opened(path, os.O_RDWR) as fd:
            new = content(1, 7)
            expect_equal(os.pwrite(fd, new, 3 * BLOCK), BLOCK, "bytes written")
            data[3 * BLOCK:4 * BLOCK] = new
            fallocate(fd, ZERO_RANGE, 9 * BLOCK, BLOCK)
            data[9 * BLOCK:10 * BLOCK] = bytes(BLOCK)
        expect_equal(volume.bad(), [], "the list")
        expect_lost(path, bytes(data), set())


@case("a deleted file's bad block is given to nobody, until the next mount rewrote it", bare=True)
def deleted():
    with spoilt() as volume:
        path = volume.path("f")
        write_file(path, content(32, 8))
        device, at = volume.spoil(path, 4 * BLOCK)
        with opened(path, os.O_RDONLY | os.O_DIRECT) as fd:
            expect_equal(read_block(fd, 4), errno.EIO, "the lost block")
        volume.listed()
        os.unlink(path)
        wait_until(lambda: volume.bad()[0]["use"] == "free", "the block is the list's")
        free = os.statvfs(volume.mountpoint).f_bfree
        expect(not filled_over(volume, device, at), "the bad block was given to another file")
        volume.kill()
        volume.mount()
        wait_until(lambda: volume.bad() == [], "the block is rewritten")
        wait_until(lambda: os.statvfs(volume.mountpoint).f_bfree == free + 1, "one more is free")


def filled_over(volume, device, at):
    """Fills the volume; whether the file that did lies on this block, too."""
    path = volume.path("filler")
    with open(path, "wb", buffering=0) as file:
        with expect_errno(errno.ENOSPC):
            while True:
                file.write(bytes(64 * BLOCK))
    with open(path, "ab", buffering=0) as file:
        with expect_errno(errno.ENOSPC):
            while True:
                file.write(bytes(BLOCK))
    shown = json.loads(run_command(program("daxpin"), "extents", "--json", path))
    os.unlink(path)
    return any(extent["device"] == device and
               extent["device_offset"] <= at < extent["device_offset"] + extent["length"]
               for extent in shown["extents"])


class Readers:
    """Threads that read blocks at random, past the cache and through it, and judge each."""

    def __init__(self, path, data, lost, count=6):
        self.path, self.data, self.lost = path, data, lost
        self.wrong, self.met = [], set()
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(seed,)) for seed in range(count)]

    def work(self, seed):
        chance = random.Random(seed)
        with opened(self.path, os.O_RDONLY | os.O_DIRECT) as fd:
            while not self.stop.is_set():
                number = chance.randrange(len(self.data) // BLOCK)
                found = read_block(fd, number)
                if found == errno.EIO and number in self.lost:
                    self.met.add(number)
                elif found != self.data[number * BLOCK:(number + 1) * BLOCK]:
                    self.wrong.append((number, found if isinstance(found, int) else "bytes"))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


@case("pages go bad under many readers: each read is right, or EIO where it may be", bare=True)
def under_load():
    with spoilt() as volume:
        path = volume.path("f")
        data = write_file(path, content(256, 9))
        lost = set()
        with Readers(path, data, lost) as readers:
            for number in range(3, 256, 16):
                lost.add(number)  # before it happens: from now on EIO is allowed
                volume.spoil(path, number * BLOCK)
                wait_until(lambda met=number: met in readers.met, "a reader meets the bad page")
        expect(not readers.wrong, f"wrong reads: {readers.wrong[:5]}")
        volume.listed(len(lost))
        expect_lost(path, data, lost)


@case("a device file cut short under the daemon: EIO for what is gone, and the log says what to do",
      bare=True)
def cut_short():
    with Spoilt() as volume:
        volume.mount()
        small = volume.path("small")
        data = write_file(small, content(16, 10))
        large = volume.path("large")
        with open(large, "wb", buffering=0) as file:
            for _ in range(40):
                file.write(content(256, 11))
        shown = json.loads(run_command(program("daxpin"), "extents", "--json", large))["extents"]
        lowest = min(shown, key=lambda extent: extent["device_offset"])
        highest = max(shown, key=lambda extent: extent["device_offset"])
        device, last = highest["device"], highest["length"] // BLOCK - 1
        size = os.stat(volume.devices[device]).st_size
        os.truncate(volume.devices[device], highest["device_offset"] + last * BLOCK)
        with opened(large, os.O_RDONLY | os.O_DIRECT) as fd:
            lost = read_block(fd, highest["offset"] // BLOCK + last)
            expect_equal(lost, errno.EIO, "what is gone")
            first = lowest["offset"]
            expect(read_block(fd, first // BLOCK) == content(256, 11)[first % MIB:][:BLOCK],
                   "what is there differs")
        expect_lost(small, data, set())
        wait_until(lambda: "has shrunk" in volume.read_log(), "a word in the log")
        expect(f"truncate -s {size}" in volume.read_log(), volume.read_log())
        expect_equal(volume.bad(), [], "bad blocks: the medium is not at fault")
        expect(volume.process.poll() is None, "the daemon died")
        os.truncate(volume.devices[device], size)
        volume.unmount()
        volume.mount()
        expect_lost(volume.path("small"), data, set())
        volume.unmount()


if __name__ == "__main__":
    sys.exit(run())
