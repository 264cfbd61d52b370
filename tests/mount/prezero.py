#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""-o prezero: free space is zeroed while nobody asks for anything, what is free alone, and pins
take from it."""

import contextlib
import json
import os
import sys
import threading
import time

import pinning
from harness import (MIB, case, expect, expect_equal, program, require_root, run, run_command,
                     wait_until)
from lease_client import Mapping
from refusals import digest

GARBAGE = b"\xa5" * MIB


def prezero_info(volume):
    return json.loads(run_command(program("daxpin"), "info", "--json", volume.mountpoint))["prezero"]


def known(volume):
    return prezero_info(volume)["bytes"]


def age(volume):
    """Fills all free blocks with garbage."""
    path = volume.path("hog")
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        while file.write(GARBAGE):
            pass
    path.unlink()


def free_bytes(volume):
    space = os.statvfs(volume.mountpoint)
    return space.f_bfree * space.f_frsize


def wait_for_zeros(volume):
    """Until nearly all that is free is known to be zero; and not more than is free."""
    def is_zero():
        time.sleep(1)  # whoever asks is in the way
        return known(volume) >= free_bytes(volume) - MIB
    wait_until(is_zero, "free space to be zero", 60)
    expect(known(volume) <= free_bytes(volume), "more is known to be zero than is free")


def sparse(path, size):
    with open(path, "wb") as file:
        file.truncate(size)
    return path


def pin(path):
    run_command(program("daxpin"), "pin", path)


def expect_zeros(volume, path):
    """By read(), and on the devices."""
    expect(not any(path.read_bytes()), f"{path.name} is not all zeros")
    fd = pinning.open_direct(path, os.O_RDONLY)
    _, generation = pinning.lease(fd, pinning.LEASE_READ)
    for extent in pinning.extents(fd, generation):
        with open(volume.devices[extent.device], "rb") as device:
            device.seek(extent.device_offset)
            expect(not any(device.read(extent.length)), f"{path.name} is not zeros on the device")
    os.close(fd)


@case("prezero: off unless asked for", size=64 * MIB)
def off(volume):
    age(volume)
    time.sleep(1)
    expect_equal(prezero_info(volume), {"on": False, "bytes": 0}, "prezero")
    expect("known to be zero" not in run_command(program("daxpin"), "info", volume.mountpoint),
           "daxpin info speaks of zeros")


@case("prezero: idle, all that is free becomes zero; pins take from it, other files do not change",
      size=128 * MIB)
def idle(volume):
    age(volume)
    kept = os.urandom(3 * MIB)
    volume.path("kept").write_bytes(kept)
    volume.unmount()
    volume.mount("prezero")
    wait_for_zeros(volume)
    expect(prezero_info(volume)["on"], "daxpin info does not say that it is on")
    expect("of what is free known to be zero" in
           run_command(program("daxpin"), "info", volume.mountpoint), "daxpin info is silent")
    before = known(volume)
    path = sparse(volume.path("f"), 32 * MIB)
    pin(path)
    expect(known(volume) <= before - 32 * MIB, "the pin took nothing of what is zero")
    expect_zeros(volume, path)
    expect_equal(volume.path("kept").read_bytes(), kept, "the other file")


@contextlib.contextmanager
def never_idle(volume):
    """Somebody asks for something all the time until the block ends."""
    over = threading.Event()

    def ask():
        while not over.wait(0.01):
            os.statvfs(volume.mountpoint)
    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()


@case("prezero: freed blocks become zero again, with what others had stored there", size=64 * MIB)
def again(volume):
    volume.unmount()
    volume.mount("prezero")
    wait_for_zeros(volume)
    with never_idle(volume):
        age(volume)
        expect(known(volume) < 8 * MIB, "blocks that were in use count as zero")
    wait_for_zeros(volume)
    path = sparse(volume.path("f"), 16 * MIB)
    pin(path)
    expect_zeros(volume, path)
    volume.check_and_remount("prezero")


@case("prezero: what a program maps stays as it is until it lets go", size=64 * MIB)
def mapped(volume):
    require_root("the client opens the device")
    volume.unmount()
    volume.mount("prezero")
    path = volume.path("f")
    path.write_bytes(GARBAGE * 8)
    mapping = Mapping(path, volume.devices)
    os.truncate(path, 0)
    wait_for_zeros(volume)
    free = free_bytes(volume)
    for piece in mapping.pieces:
        expect_equal(bytes(piece[:]).strip(b"\xa5"), b"", "bytes of the mapping that changed")
        piece[:] = b"\x5a" * len(piece)
    victim = sparse(volume.path("victim"), known(volume) - 4 * MIB)
    pin(victim)
    expect_zeros(volume, victim)
    run_command(program("daxpin"), "unpin", victim)
    victim.unlink()
    mapping.close()
    wait_until(lambda: free_bytes(volume) >= free + 8 * MIB, "the end of the lease", 30)
    wait_for_zeros(volume)
    pin(sparse(victim, known(volume) - 4 * MIB))
    expect_zeros(volume, victim)


@case("prezero: what a killed daemon knew, the next one does not", size=64 * MIB)
def killed(volume):
    volume.unmount()
    volume.mount("prezero")
    wait_for_zeros(volume)
    volume.kill()
    volume.mount()
    expect_equal(known(volume), 0, "bytes known to be zero")
    age(volume)
    path = sparse(volume.path("f"), 16 * MIB)
    pin(path)
    expect_zeros(volume, path)


@case("prezero: a read-only mount changes no byte", size=64 * MIB)
def read_only(volume):
    age(volume)
    volume.unmount()
    before = [digest(device) for device in volume.devices]
    volume.mount("ro", "prezero")
    time.sleep(1.5)
    expect_equal(known(volume), 0, "bytes known to be zero")
    volume.unmount()
    expect_equal([digest(device) for device in volume.devices], before, "the devices' bytes")
    volume.mount()


if __name__ == "__main__":
    sys.exit(run())
