#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What cannot be mounted or made: one line that names the thing and the remedy, the right exit
status, and not a byte changed."""

import contextlib
import errno
import os
import pathlib
import shutil
import struct
import sys

from harness import (MIB, Skip, Volume, case, expect, expect_equal, expect_errno, mount_line,
                     program, require_root, run, run_command, wait_until)
from refusals import make_image, run_refused, scratch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "format"))
from checksums import crc32c  # noqa: E402

SUPERBLOCK_MIN = 64 * MIB


def mount_refused(device, mountpoint, *words, unchanged=(), options=(), status=32):
    arguments = ["-o", ",".join(options)] if options else []
    said = run_refused([program("daxpinfs"), device, mountpoint, *arguments], status, *words,
                       unchanged=unchanged)
    expect(mount_line(mountpoint) is None, f"mounted all the same: {said}")


@case("not a volume: says so, and proposes nothing that overwrites it", bare=True)
def not_a_volume():
    with scratch() as folder:
        zeros = make_image(folder / "zeros.img", SUPERBLOCK_MIN)
        mount_refused(zeros, folder / "mnt", zeros, "not a daxpin volume", unchanged=[zeros])
        text = make_image(folder / "text.img", SUPERBLOCK_MIN, b"not a volume" * 1000)
        mount_refused(text, folder / "mnt", text, unchanged=[text])


@case("a missing device, a folder, an empty file", bare=True)
def wrong_kind():
    with scratch() as folder:
        mount_refused(folder / "missing", folder / "mnt", folder / "missing")
        mount_refused(folder, folder / "mnt", folder)
        empty = make_image(folder / "empty", 1)
        os.truncate(empty, 0)
        mount_refused(empty, folder / "mnt", empty)


@case("damage: one label copy is survived, both are refused", bare=True)
def damaged_labels():
    with Volume(size=SUPERBLOCK_MIN) as volume:
        device = volume.devices[0]
        blocks = label_blocks(device)
        expect(len(blocks) >= 2, f"label copies: {blocks}")
        with patched(device, {blocks[0]: bytes(4096)}):
            volume.mount()
            volume.unmount()
        for pattern in (bytes(4096), b"\xff" * 4096):
            with patched(device, {block: pattern for block in blocks}):
                mount_refused(device, volume.mountpoint, device, unchanged=[device])
                run_refused([program("fsck.daxpinfs"), "-n", device], 8, device)


def with_features(superblock, word, bits):
    """The superblock with these feature bits and the checksum that belongs to them."""
    changed = bytearray(superblock)
    struct.pack_into("<Q", changed, word, bits)
    struct.pack_into("<I", changed, 8, 0)
    struct.pack_into("<I", changed, 8, crc32c(bytes(changed)))
    return bytes(changed)


@case("an unknown feature: incompat is refused, ro_compat is read only, compat is nothing", bare=True)
def unknown_features():
    compat, ro_compat, incompat = 16, 24, 32  # where docs/format.md has them
    with Volume(size=SUPERBLOCK_MIN) as volume:
        device = volume.devices[0]
        places = [block + 1024 for block in label_blocks(device)]
        superblock = device.read_bytes()[places[0]:places[0] + 2048]
        with patched(device, dict.fromkeys(places, with_features(superblock, incompat, 4))):
            mount_refused(device, volume.mountpoint, "feature", unchanged=[device])
            run_command(program("fsck.daxpinfs"), "-n", device, status=8)
            run_refused([program("dump.daxpinfs"), "tree", device], 1, "feature")
            run_command(program("dump.daxpinfs"), "superblock", device)
        with patched(device, dict.fromkeys(places, with_features(superblock, ro_compat, 4))):
            mount_refused(device, volume.mountpoint, "ro_compat", "-o ro", unchanged=[device])
            before = device.read_bytes()
            volume.mount("ro")
            with expect_errno(errno.EROFS):
                volume.path("file").write_bytes(b"")
            volume.unmount()
            expect(device.read_bytes() == before, "a mount that may only read has written")
        with patched(device, dict.fromkeys(places, with_features(superblock, compat, 4))):
            volume.mount()
            volume.path("file").write_bytes(b"")
            volume.unmount()
            volume.fsck()


def label_blocks(device):
    """The blocks that hold the device label: found by its magic, as docs/format.md gives it."""
    with open(device, "rb") as file:
        data = file.read()
    magic = data[:8]
    expect(magic.strip(b"\0"), "the label does not start with a magic")
    return [offset for offset in range(0, len(data), 4096) if data[offset:offset + 8] == magic]


@contextlib.contextmanager
def patched(path, changes):
    """Overwrites parts of a file and puts the old bytes back."""
    with open(path, "r+b") as file:
        old = {offset: os.pread(file.fileno(), len(data), offset) for offset, data in changes.items()}
        for offset, data in changes.items():
            os.pwrite(file.fileno(), data, offset)
        try:
            yield
        finally:
            for offset, data in old.items():
                os.pwrite(file.fileno(), data, offset)


@case("a device missing from a volume of two: names what is not there", bare=True)
def missing_member():
    with Volume(size=SUPERBLOCK_MIN, separate=True) as volume:
        meta, data = volume.devices
        away = volume.folder / "elsewhere"
        away.mkdir()
        os.rename(data, away / "data.img")
        mount_refused(meta, volume.mountpoint, ("device=", "-o device"), unchanged=[meta])
        volume.mount(f"device={away / 'data.img'}")
        volume.unmount()
        os.rename(away / "data.img", data)
        volume.mount()
        volume.unmount()
        other = make_image(volume.folder / "other.img", SUPERBLOCK_MIN)
        run_command(program("mkfs.daxpinfs"), other)
        os.rename(data, away / "data.img")
        os.rename(other, data)
        mount_refused(meta, volume.mountpoint, "device", unchanged=[meta, data])


@case("any member names the volume", bare=True)
def any_member():
    with Volume(size=SUPERBLOCK_MIN, separate=True) as volume:
        volume.devices.reverse()
        volume.mount()
        volume.path("file").write_bytes(b"1")
        volume.unmount()


@case("a block device: refused, with the command that makes a pmem device usable", bare=True)
def block_device():
    require_root("loop devices")
    with scratch() as folder:
        image = make_image(folder / "block.img", SUPERBLOCK_MIN)
        try:
            loop = run_command("losetup", "--find", "--show", image).strip()
        except AssertionError as error:
            raise Skip("no loop devices here") from error
        try:
            mount_refused(loop, folder / "mnt", loop, "ndctl", unchanged=[image])
            run_refused([program("mkfs.daxpinfs"), loop], 1, loop, "ndctl", unchanged=[image])
        finally:
            run_command("losetup", "-d", loop)


@case("mkfs: a device too small is refused with the minimum", bare=True)
def too_small():
    with scratch() as folder:
        small = make_image(folder / "small.img", 8192)
        run_refused([program("mkfs.daxpinfs"), small], 1, small, ("at least", "minimum"),
                    unchanged=[small])
        new = folder / "new.img"
        run_refused([program("mkfs.daxpinfs"), "--size", "8K", new], 1, ("at least", "minimum"))
        expect(not new.exists(), "a file was left behind")


@case("mkfs: an existing filesystem or volume is kept unless --force", bare=True)
def existing_content():
    with Volume(size=SUPERBLOCK_MIN) as volume, scratch() as folder:
        device = volume.devices[0]
        run_refused([program("mkfs.daxpinfs"), device], 1, device, "--force", unchanged=[device])
        run_command(program("mkfs.daxpinfs"), "--force", device)
        ext4 = make_image(folder / "ext4.img", SUPERBLOCK_MIN)
        if shutil.which("mke2fs") is None:
            raise Skip("no mke2fs to make another filesystem with")
        run_command("mke2fs", "-q", "-t", "ext4", ext4)
        run_refused([program("mkfs.daxpinfs"), ext4], 1, ext4, "ext4", "--force", unchanged=[ext4])


@case("mkfs: wrong words are named", bare=True)
def wrong_words():
    with scratch() as folder:
        device = make_image(folder / "vol.img", SUPERBLOCK_MIN)
        for words, wanted in ((["--size", "12Q"], "12Q"), (["--uuid", "x"], "x"),
                              (["--frobnicate"], "--frobnicate"), (["--label", "l" * 65], "label")):
            run_refused([program("mkfs.daxpinfs"), *words, device], 1, wanted, unchanged=[device])


@case("mkfs: a full disk leaves no file behind", bare=True)
def full_disk():
    require_root("a small tmpfs")
    with scratch() as folder:
        disk = folder / "disk"
        disk.mkdir()
        run_command("mount", "-t", "tmpfs", "-o", "size=16M", "none", disk)
        try:
            run_refused([program("mkfs.daxpinfs"), "--size", "64M", disk / "vol.img"], 1,
                        ("No space", "space"))
            expect_equal(os.listdir(disk), [], "files left behind")
        finally:
            run_command("umount", disk)


@case("a file truncated behind the label's back is refused", bare=True)
def truncated_device():
    with Volume(size=SUPERBLOCK_MIN) as volume:
        device = volume.devices[0]
        os.truncate(device, SUPERBLOCK_MIN // 2)
        mount_refused(device, volume.mountpoint, device, unchanged=[device])
        os.truncate(device, SUPERBLOCK_MIN)


@case("a mount point that is missing, a file, or taken", bare=True)
def bad_mountpoints():
    with Volume(size=SUPERBLOCK_MIN) as volume:
        device = volume.devices[0]
        mount_refused(device, volume.folder / "missing", volume.folder / "missing",
                      unchanged=[device])
        mount_refused(device, device, device, unchanged=[device])
        with Volume(size=SUPERBLOCK_MIN) as other:
            other.mount()
            run_refused([program("daxpinfs"), device, other.mountpoint], 32, other.mountpoint,
                        unchanged=[device])
            other.unmount()


@case("the device below the mount point is refused: the daemon would wait for itself", bare=True)
def device_below_mountpoint():
    with Volume(size=SUPERBLOCK_MIN) as volume:
        device = volume.devices[0]
        mount_refused(device, volume.folder, device, unchanged=[device])


@case("options: unknown ones and wrong values are named, exit status 1", bare=True)
def bad_options():
    with Volume(size=SUPERBLOCK_MIN) as volume:
        device = volume.devices[0]
        for option, word in (("frobnicate", "frobnicate"), ("domain=soft", "soft"),
                             ("pin", "pin"), ("threads=0", "0"), ("spin_us=1001", "1001")):
            mount_refused(device, volume.mountpoint, word, options=[option], status=1,
                          unchanged=[device])
        run_refused([program("daxpinfs")], 1, "device")
        run_refused([program("daxpinfs"), device], 1, "mount point")


@case("volatile memory: without an assumed domain the daemon says what it is", bare=True)
def volatile_memory():
    with Volume(size=SUPERBLOCK_MIN) as volume:
        if not volume.domain_options:
            raise Skip(f"{volume.folder} is not on tmpfs")
        volume.mount()
        wait_until(lambda: "assumed" in volume.read_log(), "the word 'assumed' in the log")
        volume.unmount()


@case("ordinary user: no right to the device or the mount point is one line, too", bare=True)
def no_rights():
    require_root("to become somebody else")
    if shutil.which("setpriv") is None:
        raise Skip("no setpriv")
    with Volume(size=SUPERBLOCK_MIN) as volume:
        device = volume.devices[0]
        os.chmod(device, 0o600)
        command = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups",
                   program("daxpinfs"), device, volume.mountpoint]
        run_refused(command, 1, device, unchanged=[device])


if __name__ == "__main__":
    sys.exit(run())
