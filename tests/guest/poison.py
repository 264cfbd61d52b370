#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""In the guest: the kernel's memory failure handling takes pages of a real device away
(MADV_HWPOISON) under a live mount. Needs a kernel that has it; Debian's cloud kernel does not.

The kernel unmaps the page and sends SIGBUS to every process that maps it, though nobody has touched
it; no spoilt mapping of `mount-media_errors` does that. The memory behind an emulated NVDIMM is not
lost, but counts as such."""

import contextlib
import ctypes
import errno
import json
import mmap
import os
import signal
import sys
import time

import libdaxpin
from harness import (Volume, case, expect, expect_equal, expect_errno, program, run,
                     run_command)

BLOCK = 4096
MADV_HWPOISON = 100
EARLY_KILL = "/proc/sys/vm/memory_failure_early_kill"
PAGE = int(os.environ["DAXPIN_TEST_PAGE"])  # bytes of a page of the device
# Of a larger page the kernel tells that something in it is lost, not what, and here all of it can
# still be read. Pages of files on a filesystem may be mapped as large ones, too.
TELLS_BLOCK = os.environ["DAXPIN_TEST_KIND"] == "devdax-4k"


def poison(device, offset):
    """A child does it, for the kernel's first SIGBUS is for who asks."""
    child = os.fork()
    if child == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        with open(device, "r+b", buffering=0) as file:
            view = mmap.mmap(file.fileno(), PAGE, offset=offset // PAGE * PAGE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(view)) + offset % PAGE
        ctypes.string_at(address, 1)  # only a page that is mapped can be taken away
        libc.madvise(ctypes.c_void_p(address), BLOCK, MADV_HWPOISON)
        print(f"madvise(MADV_HWPOISON): {os.strerror(ctypes.get_errno())}", flush=True)
        os._exit(0)
    expect_killed(child, "who poisons a page")


def wait_for(child):
    """Its status, if it ends within half a minute."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 0


def expect_killed(child, who):
    status = wait_for(child)
    expect(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGBUS,
           f"{who} ended with {os.waitstatus_to_exitcode(status)}, not by SIGBUS")


@contextlib.contextmanager
def volume_of_our_own():
    with Volume(separate="--separate" in sys.argv) as volume:
        volume.mount()
        yield volume
        volume.unmount()
        volume.fsck()


def extents(path):
    return json.loads(run_command(program("daxpin"), "extents", "--json", path))["extents"]


def bad_blocks(volume):
    shown = run_command(program("daxpin"), "info", "--bad", "--json", volume.mountpoint)
    return json.loads(shown)["bad_blocks"]


def read_block(path, number):
    """Past the kernel's cache."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        with mmap.mmap(-1, BLOCK) as buffer:
            return buffer[:os.preadv(fd, [buffer], number * BLOCK)]
    finally:
        os.close(fd)


HELD = os.urandom(16 * BLOCK)


@contextlib.contextmanager
def volume_of_many_files():
    """Not in the kernel's cache. Yields the volume and blocks of its metadata, too."""
    with volume_of_our_own() as volume:
        for number in range(200):
            volume.path(f"name-{number}").write_bytes(HELD)
        volume.unmount()
        dump = json.loads(run_command(program("dump.daxpinfs"), "--json", "tree",
                                      volume.devices[0]))
        volume.mount()
        yield volume, [int(node["block"].split(":")[1]) for node in dump["nodes"]]


@case("pages of files are taken away: EIO for each alone, the list names the files, a write heals",
      bare=True)
def data():
    with volume_of_many_files() as (volume, _):
        hit = [volume.path(f"name-{number}") for number in range(0, 200, 40)]
        for path in hit:
            first = extents(path)[0]
            read_block(path, 0)  # the kernel tells whoever has the page in his page table
            poison(volume.devices[first["device"]], first["device_offset"])
        told = bool(bad_blocks(volume))
        expect(told or not TELLS_BLOCK, "the list is empty")
        for number in range(200):
            path = volume.path(f"name-{number}")
            if told and path in hit:
                with expect_errno(errno.EIO):
                    read_block(path, 0)
            else:
                expect_equal(path.read_bytes(), HELD, path.name)
            expect_equal(read_block(path, 1), HELD[BLOCK:2 * BLOCK], f"{path.name}, its next block")
        listed = sorted(name for block in bad_blocks(volume) for name in block["paths"])
        expect_equal(listed, sorted(map(str, hit)) if told else [], "files on the list")
        for path in hit:
            with open(path, "r+b") as file:
                file.write(HELD[:BLOCK])
            expect_equal(read_block(path, 0), HELD[:BLOCK], f"{path.name} after a write")
        expect_equal(bad_blocks(volume), [], "the list after writes")


@case("pages of metadata are taken away under the daemon: it lives, the list says so", bare=True)
def metadata():
    with volume_of_many_files() as (volume, nodes):
        for block in nodes[:5]:
            poison(volume.devices[0], block * BLOCK)
        volume.path("after").write_bytes(HELD)
        for number in range(200):
            path = volume.path(f"name-{number}")
            expect_equal(path.read_bytes(), HELD, path.name)
        expect(volume.process.poll() is None, "the daemon has died")
        uses = {block["use"] for block in bad_blocks(volume)}
        expect(uses == {"metadata"} or not (uses or TELLS_BLOCK), f"the list: {uses}")


@case("a page of a mapped file is taken away: its client gets SIGBUS, the daemon lives", bare=True)
def client():
    with volume_of_our_own() as volume:
        path = libdaxpin.pinned_file(volume.path("file"), 4 * PAGE)
        first = extents(path)[0]
        ready, say = os.pipe()
        child = os.fork()
        if child == 0:
            with libdaxpin.mapped(path) as mapping:
                ctypes.string_at(mapping.address, len(mapping))
                os.write(say, b"mapped")
                signal.pause()
        os.close(say)
        expect_equal(os.read(ready, 6), b"mapped", "what the client says")
        poison(volume.devices[first["device"]], first["device_offset"])
        expect_killed(child, "the client")
        volume.path("after").write_bytes(b"alive")
        expect_equal(volume.path("after").read_bytes(), b"alive", "the daemon's answer")


if __name__ == "__main__":
    with open(EARLY_KILL, "w", encoding="ascii") as switch:
        switch.write("1")  # for clients; the daemon asks for itself
    sys.exit(run())
