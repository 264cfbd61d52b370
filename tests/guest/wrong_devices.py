#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""In the guest: devices that daxpin cannot live on, or not as they are. Each is refused with a text
that names the device and the remedy, and nothing is written to it. Two NVDIMMs."""

import contextlib
import glob
import os
import sys

from harness import case, expect, expect_equal, program, run, run_command, wait_until

MOUNTPOINT = "/mnt/daxpin"


def remake(*namespaces):
    """Namespaces of the regions in turn, each by the words for ndctl; the devices' paths."""
    run_command("ndctl", "destroy-namespace", "-f", "all")
    for region, words in enumerate(namespaces):
        run_command("ndctl", "create-namespace", "-f", "-r", f"region{region}", *words.split())
    return sorted(glob.glob("/dev/dax*") + glob.glob("/dev/pmem*"))


def refused(device, *remedies):
    """What every program says of a device."""
    os.makedirs(MOUNTPOINT, exist_ok=True)
    for command in (("mkfs.daxpinfs", "--force", device), ("daxpinfs", device, MOUNTPOINT),
                    ("fsck.daxpinfs", "-n", device), ("dump.daxpinfs", "superblock", device)):
        text = run_command(program(command[0]), *command[1:], status=(1, 8, 32))
        for wanted in (device, *remedies):
            expect(wanted in text, f"{command[0]}: no {wanted!r} in: {text}")


def volume_on(device):
    run_command(program("mkfs.daxpinfs"), "--force", device)
    write_and_unmount(device)


def write_and_unmount(device):
    os.makedirs(MOUNTPOINT, exist_ok=True)
    run_command(program("daxpinfs"), device, MOUNTPOINT)
    with open(MOUNTPOINT + "/file", "w", encoding="utf-8") as file:
        file.write("kept")
    unmount()


@contextlib.contextmanager
def exchanged(one, other):
    """The devices' names, as after a boot that has found them in another order."""
    def exchange():
        for old, new in ((one, "/dev/aside"), (other, one), ("/dev/aside", other)):
            os.rename(old, new)
    exchange()
    try:
        yield
    finally:
        exchange()


def unmount():
    run_command("umount", MOUNTPOINT)
    wait_until(lambda: not [name for name in os.listdir("/proc") if is_daemon(name)], "the end")


def is_daemon(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
            return file.read().strip() == "daxpinfs"
    except OSError:
        return False


def kept():
    with open(MOUNTPOINT + "/file", encoding="utf-8") as file:
        return file.read()


@case("/dev/pmem0, raw, in sector mode or for filesystems: refused, with the ndctl command",
      bare=True)
def block_devices():
    for mode, words in (("raw", "-m raw"), ("sector", "-m sector"),
                        ("fsdax", "-m fsdax --map=mem")):
        device, = remake(words)
        refused(device, "ndctl create-namespace -f -e namespace0.0 -m devdax")
        print(f"# {mode}: {device}")


@case("a device that is the kernel's memory: refused with the daxctl command", bare=True)
def system_ram():
    device, = remake("-m devdax -a 2M --map=mem")
    name = os.path.basename(device)
    run_command("daxctl", "reconfigure-device", "--mode=system-ram", "--no-online", name)
    refused(device, f"daxctl reconfigure-device --mode=devdax --force {name}")
    run_command("daxctl", "reconfigure-device", "--mode=devdax", "--force", name)
    volume_on(device)


@case("a namespace that has grown: the volume is as it was", bare=True)
def grown():
    device, = remake("-m devdax -a 2M --map=mem -s 256M")
    volume_on(device)
    device, = remake("-m devdax -a 2M --map=mem -s 384M")
    run_command(program("daxpinfs"), device, MOUNTPOINT)
    expect_equal(kept(), "kept", "content")
    unmount()
    run_command(program("fsck.daxpinfs"), "-n", device)


@case("a namespace that has shrunk: refused with both sizes; whole again after growing", bare=True)
def shrunk():
    device, = remake("-m devdax -a 2M --map=mem -s 256M")
    volume_on(device)
    device, = remake("-m devdax -a 2M --map=mem -s 128M")
    text = run_command(program("daxpinfs"), device, MOUNTPOINT, status=32)
    expect(device in text and "its label says" in text and "ndctl" in text, text)
    run_command(program("fsck.daxpinfs"), "-n", device, status=(4, 8))
    device, = remake("-m devdax -a 2M --map=mem -s 256M")
    run_command(program("daxpinfs"), device, MOUNTPOINT)
    expect_equal(kept(), "kept", "content")
    unmount()


@case("two devices that have exchanged their names: the volume is found by its UUIDs", bare=True)
def members_exchanged():
    meta, data = remake("-m devdax -a 4K --map=mem", "-m devdax -a 2M --map=mem")
    run_command(program("mkfs.daxpinfs"), "--force", "--data", data, meta)
    write_and_unmount(meta)
    with exchanged(meta, data):
        for name in (meta, data):
            run_command(program("daxpinfs"), name, MOUNTPOINT)
            expect_equal(kept(), "kept", "content")
            unmount()
        run_command(program("fsck.daxpinfs"), "-n", data, meta)


@case("volume:NAME is the same volume on whichever device, and never one of two", bare=True)
def by_name():
    one, other = remake("-m devdax -a 2M --map=mem", "-m devdax -a 2M --map=mem")
    for device, label in ((one, "shop"), (other, "archive")):
        run_command(program("mkfs.daxpinfs"), "--force", "--label", label, device)
    write_and_unmount("volume:shop")
    with exchanged(one, other):
        run_command(program("daxpinfs"), "volume:shop", MOUNTPOINT)
        expect_equal(kept(), "kept", "content")
        unmount()
        run_command(program("fsck.daxpinfs"), "-n", "volume:shop")
    run_command(program("mkfs.daxpinfs"), "--force", "--label", "shop", other)
    text = run_command(program("daxpinfs"), "volume:shop", MOUNTPOINT, status=32)
    expect("name the volume by its UUID" in text, text)


if __name__ == "__main__":
    sys.exit(run())
