#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Damaged metadata under a mount: what is damaged answers EIO, everything else goes on as the
option errors= says, and log, tool and ioctls tell of it."""

import errno
import fcntl
import json
import os
import struct
import sys

import pinning
from harness import (MIB, case, expect, expect_equal, expect_errno, program, require_root, run,
                     run_command, wait_until)

VALUE = b"a value of an extended attribute, in a block of its own ".ljust(64, b".") * 100
IOC_DAMAGE = pinning.number(pinning.IOWR, 11, 512)


def fill(volume):
    volume.path("hurt").write_bytes(b"data of the file that is hurt")
    os.setxattr(volume.path("hurt"), "user.large", VALUE)
    folder = volume.path("folder")
    folder.mkdir()
    for number in range(200):
        (folder / f"file {number:03}").write_bytes(b"%d" % number)


def flip(volume, offset):
    with open(volume.devices[0], "r+b") as device:
        device.seek(offset)
        byte = device.read(1)
        device.seek(offset)
        device.write(bytes([byte[0] ^ 1]))


def hurt_value(volume):
    """Unmounts, flips a bit of the attribute's block, and leaves the volume unmounted."""
    volume.unmount()
    image = volume.devices[0].read_bytes()
    block = image.find(VALUE[:4096])
    expect(block > 0 and block % 4096 == 0, "the attribute is not on media")
    flip(volume, block + 100)


def hurt_leaf(volume, choose):
    """The same with a leaf of the tree; choose(leaves) says which: (block, first inode) each."""
    volume.unmount()
    nodes = json.loads(run_command(program("dump.daxpinfs"), "--json", "tree", volume.devices[0]))
    leaves = [(int(node["block"].split(":")[1]), int(node["first_key"].strip("{").split(",")[0]))
              for node in nodes["nodes"] if node["level"] == 0]
    expect(len(leaves) > 8, f"only {len(leaves)} leaves")
    flip(volume, choose(leaves)[0] * 4096 + 2000)


def meet_damage(volume):
    with expect_errno(errno.EIO):
        os.getxattr(volume.path("hurt"), "user.large")


def told(volume):
    """(count, flags, text) by DAXPIN_IOC_DAMAGE."""
    fd = os.open(volume.mountpoint, os.O_RDONLY)
    try:
        buffer = bytearray(512)
        fcntl.ioctl(fd, IOC_DAMAGE, buffer, True)
    finally:
        os.close(fd)
    count, flags = struct.unpack_from("=QI", buffer)
    return count, flags, bytes(buffer[32:]).split(b"\0")[0].decode()


def check_refused_by_fsck(volume):
    text = volume.fsck(status=4)
    expect("attribute" in text or "blob" in text, f"fsck says: {text}")


@case("errors=ro: EIO for the damaged object alone; nothing is written any more", size=64 * MIB)
def read_only(volume):
    fill(volume)
    hurt_value(volume)
    volume.mount()
    volume.path("before").write_bytes(b"written before the damage was met")
    expect_equal(told(volume), (0, 0, ""), "before")
    meet_damage(volume)
    expect_equal(volume.path("hurt").read_bytes(), b"data of the file that is hurt")
    expect_equal(volume.path("folder/file 007").read_bytes(), b"7")
    with expect_errno(errno.EROFS):
        volume.path("new").write_bytes(b"")
    with expect_errno(errno.EROFS):
        os.unlink(volume.path("before"))
    meet_damage(volume)
    expect(volume.process.poll() is None, "the daemon ended")
    count, flags, text = told(volume)
    expect(count == 2 and flags == 1 and "attribute" in text, f"told: {count}, {flags}, {text}")
    log = volume.read_log()
    expect_equal(log.count("metadata is damaged: "), 1, "lines of the log")
    expect(f"fsck.daxpinfs -y {volume.devices[0]}" in log and "read-only" in log, log)
    image = volume.devices[0].read_bytes()
    volume.unmount()
    expect(volume.devices[0].read_bytes() == image, "the unmount has written")
    check_refused_by_fsck(volume)
    volume.mount()  # what was acknowledged before is there, from the journal
    expect_equal(volume.path("before").read_bytes(), b"written before the damage was met")
    restore(volume)


def restore(volume):
    """So that the harness finds a sound volume at the end."""
    volume.unmount()
    image = volume.devices[0].read_bytes()
    hurt = bytearray(VALUE[:4096])
    hurt[100] ^= 1
    flip(volume, image.find(bytes(hurt)) + 100)
    volume.mount()


@case("daxpin info and STATUS tell of damage", size=64 * MIB)
def tool(volume):
    fill(volume)
    hurt_value(volume)
    volume.mount()
    info = json.loads(run_command(program("daxpin"), "info", "--json", volume.mountpoint))
    expect_equal(info["damage"], {"count": 0, "first": "", "read_only": False})
    expect("DAMAGED" not in run_command(program("daxpin"), "info", volume.mountpoint), "too early")
    meet_damage(volume)
    info = json.loads(run_command(program("daxpin"), "info", "--json", volume.mountpoint))
    expect(info["damage"]["count"] == 1 and info["damage"]["read_only"], f"{info['damage']}")
    text = run_command(program("daxpin"), "info", volume.mountpoint)
    for words in ("DAMAGED", info["damage"]["first"], "fsck.daxpinfs -y"):
        expect(words in text, f"no {words} in: {text}")
    status = json.loads(run_command(program("daxpin"), "status", "--json", volume.path("hurt")))
    expect(status["damaged"], "STATUS does not tell")
    restore(volume)


@case("remount,rw is refused while damage is outstanding, and says what to do", size=64 * MIB)
def remount(volume):
    require_root("mount -o remount")
    fill(volume)
    hurt_value(volume)
    volume.mount()
    meet_damage(volume)
    text = run_command(program("daxpinfs"), volume.devices[0], volume.mountpoint, "-o",
                       "remount,rw", status=32)
    expect("damaged" in text and "fsck.daxpinfs -y" in text, text)
    with expect_errno(errno.EROFS):
        volume.path("new").write_bytes(b"")
    restore(volume)
    run_command(program("daxpinfs"), volume.devices[0], volume.mountpoint, "-o", "remount,ro")
    run_command(program("daxpinfs"), volume.devices[0], volume.mountpoint, "-o", "remount,rw")


@case("errors=continue: what is sound may be changed, before and after", size=64 * MIB)
def go_on(volume):
    fill(volume)
    hurt_value(volume)
    volume.mount("errors=continue")
    meet_damage(volume)
    volume.path("new").write_bytes(b"written after the damage was met")
    os.unlink(volume.path("folder/file 003"))
    expect("going on" in volume.read_log(), volume.read_log())
    restore(volume)
    expect_equal(volume.path("new").read_bytes(), b"written after the damage was met")


@case("errors=exit: the daemon ends with 32 and leaves ENOTCONN", size=64 * MIB)
def exits(volume):
    fill(volume)
    hurt_value(volume)
    volume.mount("errors=exit")
    meet_damage(volume)
    expect_equal(volume.process.wait(timeout=30), 32, "exit status")
    volume.process = None
    expect("ending, as errors=exit says" in volume.read_log(), volume.read_log())
    with expect_errno(errno.ENOTCONN):
        os.listdir(volume.mountpoint)
    volume.detach()
    check_refused_by_fsck(volume)
    volume.mount()
    restore(volume)


@case("a damaged leaf: its names are listed, its files answer EIO, the others are read",
      size=64 * MIB)
def leaf(volume):
    fill(volume)
    folder = os.stat(volume.path("folder")).st_ino
    hurt_leaf(volume, lambda leaves: next(leaf for leaf in leaves[2:-1] if leaf[1] > folder))
    volume.mount()
    with os.scandir(volume.path("folder")) as entries:
        names = sorted(entry.name for entry in entries)
    expect_equal(names, [f"file {number:03}" for number in range(200)])
    damaged = 0
    for number, name in enumerate(names):
        try:
            expect_equal(volume.path("folder", name).read_bytes(), b"%d" % number)
        except OSError as error:
            expect_equal(error.errno, errno.EIO, name)
            damaged += 1
    expect(0 < damaged < 40, f"{damaged} files are damaged")
    expect("checksum" in told(volume)[2], f"{told(volume)}")
    volume.unmount()
    volume.fsck(status=4)
    run_command(program("mkfs.daxpinfs"), "--force", volume.devices[0], *data_options(volume))


@case("damage that is met while mounting: the volume is read-only from the start, or not mounted",
      size=64 * MIB)
def at_mount(volume):
    fill(volume)
    hurt_leaf(volume, lambda leaves: leaves[-1])
    volume.mount()
    expect_equal(volume.path("hurt").read_bytes(), b"data of the file that is hurt")
    with expect_errno(errno.EROFS):
        volume.path("new").write_bytes(b"")
    volume.unmount()
    volume.mount("errors=continue")
    with expect_errno(errno.EIO):
        volume.path("new").write_bytes(b"")
    volume.unmount()
    text = run_command(program("daxpinfs"), volume.devices[0], volume.mountpoint, "-o",
                       ",".join([*volume.domain_options, "errors=exit"]), status=32)
    expect("fsck.daxpinfs -y" in text, text)
    wait_until(lambda: not volume.is_mounted(), "no mount")
    volume.fsck(status=4)
    run_command(program("mkfs.daxpinfs"), "--force", volume.devices[0], *data_options(volume))


@case("a damaged journal: refused, read-only too, with what to do; fsck -y makes it mountable",
      size=64 * MIB)
def journal(volume):
    fill(volume)
    volume.unmount()
    volume.mount()
    for number in range(8):
        volume.path(f"late {number}").write_bytes(b"%d" % number)
    volume.kill()
    dump = run_command(program("dump.daxpinfs"), "--json", "superblock", volume.devices[0])
    start = json.loads(dump)["ring_start"]
    ring = json.loads(run_command(program("dump.daxpinfs"), "--json", "ring", volume.devices[0]))
    expect(len(ring["records"]) > 8, f"only {len(ring['records'])} records")
    flip(volume, start * 4096 + ring["records"][2]["seat"] + 70)
    image = volume.devices[0].read_bytes()
    for mode in ("rw", "ro"):
        text = run_command(program("daxpinfs"), volume.devices[0], volume.mountpoint, "-o",
                           ",".join([*volume.domain_options, mode]), status=32)
        expect("journal is damaged" in text and "fsck.daxpinfs -n" in text and "-y" in text, text)
        expect("cannot be mounted read-only" in text, text)
        expect(not volume.is_mounted(), "mounted")
    expect(volume.devices[0].read_bytes() == image, "a mount that was refused has written")
    volume.fsck(status=4)
    run_command(program("fsck.daxpinfs"), "-y", *volume.devices, status=1)
    volume.mount()
    expect_equal(volume.path("hurt").read_bytes(), b"data of the file that is hurt")
    expect_equal(volume.path("folder/file 007").read_bytes(), b"7")


def data_options(volume):
    return [word for device in volume.devices[1:] for word in ("--data", device)]


if __name__ == "__main__":
    sys.exit(run())
